package redistest

import "syscall"

// dieWithParent has the kernel kill the process when the test's own process ends in whatever way: a panic or a time-out runs no cleanup.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
