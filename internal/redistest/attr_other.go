//go:build !linux

package redistest

import "syscall"

// dieWithParent does nothing here: after a panic of the test its servers may stay.
func dieWithParent() *syscall.SysProcAttr { return nil }
