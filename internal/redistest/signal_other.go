//go:build !unix

package redistest

import "os"

// There is no such signal here: sending it is an error, and the test fails.
var sigstop, sigcont = os.Interrupt, os.Interrupt
