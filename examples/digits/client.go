package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// connections bounds how many requests are on their way to the server at a time, as the connection pool of a real client
// would. The number suits the callers that go one by one: with many more, or far fewer, they are slower.
const connections = 32

// client calls a server.
type client struct {
	http *http.Client
	url  string
}

func newClient(url string) *client {
	return &client{
		http: &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}},
		url:  url,
	}
}

// classify has the server answer the images. It has the shape of a batching.RunFunc.
func (c *client) classify(ctx context.Context, images []mnist.Image) ([]int, error) {
	body := make([]byte, 0, len(images)*mnist.Pixels)
	for _, image := range images {
		body = append(body, image...)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("model server: %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	if len(answer) != len(images) {
		return nil, fmt.Errorf("model server: %d answers to %d images", len(answer), len(images))
	}
	digits := make([]int, len(answer))
	for i, digit := range answer {
		digits[i] = int(digit)
	}
	return digits, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }
