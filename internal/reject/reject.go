// Package reject makes the sentinel errors of requests that were turned away before any work began. All of the library's have the method
// Rejected, by which callers, and the breaker, know them without knowing the package.
package reject

import "errors"

// New is a sentinel with this text.
func New(text string) error { return &rejection{text: text} }

// Wrap is a sentinel with this text, and with cause behind a colon, which errors.Is finds.
func Wrap(text string, cause error) error { return &rejection{text + ": " + cause.Error(), cause} }

// Is says whether err is that of a request that was turned away. It looks into what err wraps, but not into errors that are joined: of several attempts or
// shards one may have been turned away while another did its work.
func Is(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if r, ok := err.(interface{ Rejected() bool }); ok {
			return r.Rejected()
		}
	}
	return false
}

type rejection struct {
	text  string
	cause error
}

func (r *rejection) Error() string { return r.text }

func (r *rejection) Unwrap() error { return r.cause }

// Rejected is true: no work has begun.
func (r *rejection) Rejected() bool { return true }
