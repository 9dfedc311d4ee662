//go:build cgo

package main

import (
	"errors"
	"io"
	"iter"
	"os"

	"golang.org/x/sys/unix"

	"amphi/compositor/wire"
)

const (
	// pipeSize holds what comes between two ticks with room to spare: nine HD cameras send 100
	// KB in that time, a bitmap of the whole canvas has 2 MB. It is what Linux grants anybody.
	pipeSize = 1 << 20

	// maxMessages bounds what is taken in at one tick.
	maxMessages = 4096
)

// inbox is the server's messages, taken in at each tick instead of as they come: a wake-up for
// each packet of each person cost a fifth of the worker's processor time.
//
// The messages are read by a coroutine, which the tick resumes and which stops where the pipe is
// empty, be it in the middle of a message. So it needs no lock, and no thread is woken.
type inbox struct {
	fd    int
	next  func() (wire.Message, error, bool) // resumes the coroutine
	close func()                             // ends it
	pause func() bool                        // suspends it; false when it must end
}

// newInbox returns the messages that come through a pipe. The first is waited for.
func newInbox(f *os.File) *inbox {
	in := &inbox{fd: int(f.Fd())}
	in.next, in.close = iter.Pull2(func(yield func(wire.Message, error) bool) {
		open := true
		in.pause = func() bool {
			open = yield(nil, nil)
			return open
		}
		for r := wire.NewReader(in); ; {
			m, err := r.Next()
			if !open || !yield(m, err) || err != nil {
				return
			}
		}
	})
	return in
}

// first waits for the server's first message. From then on no read waits.
func (in *inbox) first() (wire.Message, error) {
	m, err, _ := in.next()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(in.fd, true); err != nil {
		return nil, err
	}
	// Without the larger pipe the server waits for us now and then.
	_, _ = unix.FcntlInt(uintptr(in.fd), unix.F_SETPIPE_SZ, pipeSize)
	return m, nil
}

// take returns the next message that has come, or nil if there is none yet. Any error is final,
// io.EOF the end.
func (in *inbox) take() (wire.Message, error) {
	m, err, ok := in.next()
	if !ok {
		return nil, io.ErrClosedPipe
	}
	return m, err
}

// Read is what the coroutine reads by.
func (in *inbox) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(in.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if !in.pause() {
				return 0, io.ErrClosedPipe
			}
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
