package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
	"github.com/scalable-ai/patterns/examples/internal/nn"
)

func testModel(t *testing.T, slots, maxSize int) *model {
	t.Helper()
	network, err := nn.New(1, mnist.Pixels, mnist.Classes)
	require.NoError(t, err)
	return newModel(network, slots, maxSize)
}

func TestServerAnswersLikeTheModel(t *testing.T) {
	m := testModel(t, 1, 8)
	images := mnisttest.FirstPixels(8).Images
	for i, image := range images {
		image[100+i] = 255
	}
	want, err := m.classify(t.Context(), images)
	require.NoError(t, err)

	server, err := startServer(m, 8)
	require.NoError(t, err)
	client := newClient(server.url)
	for count := 1; count <= 8; count++ {
		got, err := client.classify(t.Context(), images[:count])
		require.NoError(t, err)
		assert.Equal(t, want[:count], got)
	}
	client.close()
	require.NoError(t, server.close())
	_, err = client.classify(t.Context(), images)
	assert.Error(t, err)
}

func TestHandlerRejects(t *testing.T) {
	handler := classifyHandler(testModel(t, 1, 2), 2)
	for name, body := range map[string]io.Reader{
		"nothing":            http.NoBody,
		"part of an image":   bytes.NewReader(make([]byte, mnist.Pixels-1)),
		"an image and more":  bytes.NewReader(make([]byte, mnist.Pixels+1)),
		"too many images":    bytes.NewReader(make([]byte, 3*mnist.Pixels)),
		"what can't be read": io.MultiReader(bytes.NewReader(make([]byte, 10)), errorReader{}),
	} {
		answer := httptest.NewRecorder()
		handler(answer, httptest.NewRequest(http.MethodPost, "/classify", body))
		assert.Equal(t, http.StatusBadRequest, answer.Code, name)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("connection lost") }

// While all workspaces are taken a request waits, and gives up when its context ends.
func TestModelWaitsForASlot(t *testing.T) {
	reason := errors.New("the reason")
	m := testModel(t, 1, 1)
	work := <-m.idle
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := m.classify(ctx, mnisttest.FirstPixels(1).Images)
	assert.ErrorIs(t, err, reason)

	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/classify", bytes.NewReader(make([]byte, mnist.Pixels)))
	answer := httptest.NewRecorder()
	classifyHandler(m, 1)(answer, request)
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)

	m.idle <- work
	_, err = m.classify(t.Context(), mnisttest.FirstPixels(1).Images)
	assert.NoError(t, err)
	assert.Len(t, m.idle, 1)
}

func TestClientChecksTheAnswer(t *testing.T) {
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{1, 2, 3}) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	client := newClient(server.URL)
	defer client.close()

	digits, err := client.classify(t.Context(), mnisttest.FirstPixels(3).Images)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2, 3}, digits)
	_, err = client.classify(t.Context(), mnisttest.FirstPixels(2).Images)
	assert.ErrorContains(t, err, "3 answers to 2 images")

	answer = func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of memory", http.StatusInternalServerError)
	}
	_, err = client.classify(t.Context(), mnisttest.FirstPixels(2).Images)
	assert.ErrorContains(t, err, "model server: 500 Internal Server Error: out of memory")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.classify(ctx, mnisttest.FirstPixels(2).Images)
	assert.ErrorIs(t, err, context.Canceled)
}
