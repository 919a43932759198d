package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/scalable-ai/patterns/breaker"
)

// call is what a caller does: it asks the back-end, with the number of the request. It is the shape that all patterns wrap.
type call = breaker.Func[int, string]

// connect puts the back-end behind an HTTP server on a free port of the loopback interface, and returns a client's call. What it
// returns beside that ends both.
func connect(b *backend) (ask call, stop func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /predict/{number}", b.predict)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	finished := make(chan error, 1)
	go func() { finished <- server.Serve(listener) }()

	// A connection for each call under way: how many these are, nothing but the patterns shall decide.
	transport := &http.Transport{MaxIdleConnsPerHost: backlog}
	ask = newClient(&http.Client{Transport: transport}, "http://"+listener.Addr().String())
	stop = func() error {
		transport.CloseIdleConnections()
		err := server.Close()
		if served := <-finished; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
	return ask, stop, nil
}

func (b *backend) predict(w http.ResponseWriter, r *http.Request) {
	if status := b.serve(r.Context()); status != http.StatusOK {
		http.Error(w, "no answer to "+r.PathValue("number"), status)
		return
	}
	_, _ = fmt.Fprintf(w, "answer to %s", r.PathValue("number")) // it fails if the client has gone, which is counted already
}

// statusError is an answer of the back-end that is none.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("back-end: status %d", int(e)) }

func newClient(client *http.Client, url string) call {
	return func(ctx context.Context, number int) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/predict/%d", url, number), http.NoBody)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		switch {
		case err != nil:
			return "", err
		case resp.StatusCode != http.StatusOK:
			return "", statusError(resp.StatusCode)
		}
		return string(answer), nil
	}
}
