// Package mnisttest makes small data sets in the format of MNIST, for tests.
package mnisttest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// Dir makes a folder with so many images to learn from and to test with. What they show is easily learnt: digit d
// is ink in rows 2d and 2d+1, on paper with faint noise.
func Dir(tb testing.TB, train, test int) string {
	tb.Helper()
	dir := tb.TempDir()
	writeSet(tb, dir, mnist.TrainImages, mnist.TrainLabels, train, 1)
	writeSet(tb, dir, mnist.TestImages, mnist.TestLabels, test, 2)
	return dir
}

// FirstPixels has images that show the digit which is in their first pixel: 0, 1 and so on, over and over.
func FirstPixels(count int) *mnist.Set {
	set := &mnist.Set{}
	for i := range count {
		image := make(mnist.Image, mnist.Pixels)
		image[0] = byte(i % mnist.Classes)
		set.Images = append(set.Images, image)
		set.Labels = append(set.Labels, image[0])
	}
	return set
}

func writeSet(tb testing.TB, dir, images, labels string, count int, seed uint64) {
	tb.Helper()
	random := rand.New(rand.NewPCG(seed, seed))
	pixels, digits := make([]byte, count*mnist.Pixels), make([]byte, count)
	for i := range digits {
		digit := random.IntN(mnist.Classes)
		digits[i] = byte(digit)
		image := pixels[i*mnist.Pixels : (i+1)*mnist.Pixels]
		for j := range image {
			image[j] = byte(random.IntN(32))
			if row := j / mnist.Side; row/2 == digit {
				image[j] = byte(200 + random.IntN(56))
			}
		}
	}
	Write(tb, filepath.Join(dir, images), IDX(pixels, uint32(count), mnist.Side, mnist.Side))
	Write(tb, filepath.Join(dir, labels), IDX(digits, uint32(count)))
}

// IDX puts the header of a file of bytes before the values, whether it is true of them or not.
func IDX(values []byte, sizes ...uint32) []byte {
	data := []byte{0, 0, 8, byte(len(sizes))}
	for _, size := range sizes {
		data = binary.BigEndian.AppendUint32(data, size)
	}
	return append(data, values...)
}

// Write packs data into a file.
func Write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
}
