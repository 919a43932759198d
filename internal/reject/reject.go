// Package reject makes the sentinel errors of requests that were turned away before any work began. All of the library's have the method
// Rejected, by which callers, and the breaker, know them without knowing the package.
package reject

// New is a sentinel with this text.
func New(text string) error { return &rejection{text: text} }

// Wrap is a sentinel with this text, and with cause behind a colon, which errors.Is finds.
func Wrap(text string, cause error) error { return &rejection{text + ": " + cause.Error(), cause} }

type rejection struct {
	text  string
	cause error
}

func (r *rejection) Error() string { return r.text }

func (r *rejection) Unwrap() error { return r.cause }

// Rejected is true: no work has begun.
func (r *rejection) Rejected() bool { return true }
