package wire

import (
	"bufio"
	"fmt"
	"io"
	"math"
)

// preamble opens each direction. The zero byte makes sure that no text passes for it.
var preamble = [8]byte{'A', 'M', 'P', 'H', 'I', 0, Version >> 8, Version & 0xff}

const (
	flushAt   = 64 << 10 // bytes at which Send writes by itself: the size of a Linux pipe
	keepSpare = 1 << 20  // a larger buffer is given back after use
)

// Writer sends messages. It is not safe for concurrent use.
type Writer struct {
	w   io.Writer
	buf []byte
	err error
}

// NewWriter returns a Writer on w. The preamble goes out with the first Flush.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, buf: append(make([]byte, 0, flushAt), preamble[:]...)}
}

// Send adds a message to the buffer, whose data it copies: the caller may use m again. The
// buffer is written by Flush, or before that when it is large. A message that breaks a limit is
// refused and nothing is written of it. Errors of the underlying writer stay.
func (w *Writer) Send(m Message) error {
	if w.err != nil {
		return w.err
	}
	if err := m.check(); err != nil {
		return err
	}
	start := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0, byte(m.kind()))
	w.buf = m.append(w.buf)
	n := len(w.buf) - start - 4
	if n > MaxMessage {
		w.buf = w.buf[:start]
		return fmt.Errorf("%w: %T of %d bytes", ErrTooLarge, m, n)
	}
	be.PutUint32(w.buf[start:], uint32(n))
	if len(w.buf) >= flushAt {
		return w.Flush()
	}
	return nil
}

// Flush writes everything sent so far.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	_, w.err = w.w.Write(w.buf)
	if cap(w.buf) > keepSpare {
		w.buf = make([]byte, 0, flushAt)
	}
	w.buf = w.buf[:0]
	return w.err
}

// Reader receives messages. It is not safe for concurrent use.
type Reader struct {
	r      *bufio.Reader
	opened bool
	err    error
}

// NewReader returns a Reader on r. It reads nothing before the first Next.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, flushAt)}
}

// Next returns the next message, which the caller owns with all its data. The error is io.EOF
// when the stream ends between two messages. Any error is final.
func (r *Reader) Next() (Message, error) {
	if r.err != nil {
		return nil, r.err
	}
	m, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return m, nil
}

func (r *Reader) next() (Message, error) {
	if !r.opened {
		if err := r.open(); err != nil {
			return nil, err
		}
		r.opened = true
	}
	var head [4]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return nil, err
	}
	n := be.Uint32(head[:])
	switch {
	case n == 0:
		return nil, fmt.Errorf("%w: empty", ErrMalformed)
	case n > MaxMessage:
		return nil, fmt.Errorf("%w: %d bytes announced", ErrTooLarge, n)
	}
	k, err := r.r.ReadByte()
	if err != nil {
		return nil, unexpected(err)
	}
	m := newMessage(kind(k))
	if m == nil {
		return nil, fmt.Errorf("%w: unknown type %d", ErrMalformed, k)
	}
	body, err := r.body(int(n) - 1)
	if err != nil {
		return nil, err
	}
	c := cursor{b: body}
	m.parse(&c)
	if c.bad || len(c.b) > 0 {
		return nil, fmt.Errorf("%w: %T of %d bytes", ErrMalformed, m, n)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// body reads n bytes. Memory grows with what has arrived, not with what was announced.
func (r *Reader) body(n int) ([]byte, error) {
	const step = 256 << 10
	b := make([]byte, min(n, step))
	for done := 0; ; {
		if _, err := io.ReadFull(r.r, b[done:]); err != nil {
			return nil, unexpected(err)
		}
		if done = len(b); done == n {
			return b, nil
		}
		grown := make([]byte, min(n, 2*done))
		copy(grown, b)
		b = grown
	}
}

func (r *Reader) open() error {
	var got [len(preamble)]byte
	if _, err := io.ReadFull(r.r, got[:]); err != nil {
		return err
	}
	if [6]byte(got[:6]) != [6]byte(preamble[:6]) {
		return ErrPreamble
	}
	if v := be.Uint16(got[6:]); v != Version {
		return fmt.Errorf("%w: theirs %d, ours %d", ErrVersion, v, Version)
	}
	return nil
}

// unexpected marks an end of stream inside a message.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// The largest bitmap that a canvas of full HD needs fits a message.
const _ = uint(MaxMessage - 1920*1080*5/2 - 16)

// A length fits the prefix.
const _ = uint(math.MaxUint32 - MaxMessage)
