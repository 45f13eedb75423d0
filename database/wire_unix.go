//go:build unix

package database

import (
	"net"
	"syscall"
)

// peekHungUp looks at the socket without waiting and without taking anything
// from it. Nothing to read is the sign of a living idle session; end of file,
// an error, or a message nobody asked for is not. Treating a harmless notice
// as a farewell costs one new connection.
func peekHungUp(c net.Conn) bool {
	sys, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return true
	}
	hungUp := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		hungUp = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
		return true // never wait
	})
	return err != nil || hungUp
}
