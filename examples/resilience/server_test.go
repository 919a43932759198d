package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConnect(t *testing.T) {
	now := condition{slowdown: 0.01}
	b := newBackend(func() condition { return now }, testBackend(now).load)
	ask, stop, err := connect(b)
	require.NoError(t, err)
	answer, err := ask(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, "answer to 7", answer)

	now.fails = true // nobody reads it now
	_, err = ask(t.Context(), 8)
	assert.Equal(t, statusError(http.StatusInternalServerError), err)
	assert.EqualError(t, err, "back-end: status 500")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = ask(ctx, 9)
	assert.ErrorIs(t, err, context.Canceled)

	b.close()
	require.NoError(t, stop())
	_, err = ask(t.Context(), 10)
	assert.Error(t, err)
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

type brokenBody struct{ io.Reader }

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (brokenBody) Close() error             { return nil }

func TestClientOfABrokenServer(t *testing.T) {
	ask := newClient(&http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: brokenBody{}}, nil
	})}, "http://backend")
	_, err := ask(t.Context(), 1)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)

	ask = newClient(http.DefaultClient, strings.Repeat(":", 3))
	_, err = ask(t.Context(), 1)
	assert.Error(t, err)
}
