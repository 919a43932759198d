package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// server is a model behind HTTP, as it would run on another machine. A request's body is any number of images, one after
// the other, a byte for each pixel; the answer's is a byte for each image: its digit.
type server struct {
	http     *http.Server
	url      string
	finished chan error
}

// startServer serves m, which takes up to maxSize images at a time, on a free port of the loopback interface.
func startServer(m *model, maxSize int) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /classify", classifyHandler(m, maxSize))
	s := &server{
		http:     &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		url:      "http://" + listener.Addr().String() + "/classify",
		finished: make(chan error, 1),
	}
	go func() { s.finished <- s.http.Serve(listener) }()
	return s, nil
}

func classifyHandler(m *model, maxSize int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pixels, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(maxSize)*mnist.Pixels))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if len(pixels) == 0 || len(pixels)%mnist.Pixels != 0 {
			http.Error(w, "the body is not a number of images", http.StatusBadRequest)
			return
		}
		images := make([]mnist.Image, 0, len(pixels)/mnist.Pixels)
		for ; len(pixels) > 0; pixels = pixels[mnist.Pixels:] {
			images = append(images, pixels[:mnist.Pixels])
		}
		digits, err := m.classify(r.Context(), images)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer := make([]byte, len(digits))
		for i, digit := range digits {
			answer[i] = byte(digit)
		}
		_, _ = w.Write(answer) // it fails if the client has gone, which is no one's loss
	}
}

// close stops the server.
func (s *server) close() error {
	err := s.http.Close()
	if served := <-s.finished; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
