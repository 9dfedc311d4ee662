package mediaworker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"amphi/compositor/wire"
)

const (
	// stillLimit is how long a still may take: on a quiet machine a tenth of a second.
	stillLimit = 20 * time.Second

	// maxStill bounds the file of one, in bytes: 1080 lines of noise as a PNG are 6 MB.
	maxStill = 16 << 20
)

// Stills returns what makes the stills of recordings: a process of the program for each key picture,
// which decodes that one and ends. Worker is as for [Path].
func Stills(worker string) func(ctx context.Context, picture []byte, format string, width, height int) ([]byte, error) {
	return func(ctx context.Context, picture []byte, format string, width, height int) ([]byte, error) {
		return once(ctx, worker, bytes.NewReader(picture), "--still", format, "--size", fmt.Sprintf("%dx%d", width, height))
	}
}

// Compose draws a scene with people who are not there, as a PNG; see [wire.ComposeFlag] for the messages. Worker is as
// for [Path].
func Compose(ctx context.Context, worker string, messages []wire.Message) ([]byte, error) {
	var in bytes.Buffer
	out := wire.NewWriter(&in)
	for _, m := range messages {
		if err := out.Send(m); err != nil {
			return nil, err
		}
	}
	if err := out.Flush(); err != nil {
		return nil, err
	}
	return once(ctx, worker, &in, "--"+wire.ComposeFlag)
}

// once runs a process of the program that makes one file of what it reads.
func once(ctx context.Context, worker string, in io.Reader, args ...string) ([]byte, error) {
	path, err := Path(worker)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, stillLimit)
	defer cancel()
	cmd := Command(ctx, path, args...)
	var out, said bounded
	out.most, said.most = maxStill, 1<<10
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &said
	runtime.LockOSThread() // see Command
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("still: %w: %s", err, strings.TrimSpace(said.buf.String()))
	}
	return out.buf.Bytes(), nil
}

// bounded is a buffer that refuses what is too much.
type bounded struct {
	buf  bytes.Buffer // not embedded: what reads all at once would get around Write
	most int
}

var errTooMuch = errors.New("the process says too much")

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > b.most {
		return 0, errTooMuch
	}
	return b.buf.Write(p)
}
