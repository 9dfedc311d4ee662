// Package mediaworker runs processes of the media worker's program: the only ones that touch what people
// send. Such a process is a child without network and without secrets; what it needs comes through its
// stdin, what it makes through its stdout.
package mediaworker

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"amphi/compositor/wire"
)

// Name is the file name of the program.
const Name = "amphi-compositor"

const (
	// receiveQueue is how many messages of a process wait for whoever reads them. One that composes
	// sends about 80 a second, so this is three seconds; after that the pipe fills and it waits.
	receiveQueue = 256

	// gather is how long messages to a process are gathered to be written at once. It takes them
	// in at its ticks only, and a write for each packet of each person would cost both sides.
	gather = 10 * time.Millisecond

	// logLines is how many lines a second of a process's stderr are logged.
	logLines = 20
)

// ErrNoProgram is returned where the program is not to be found.
var ErrNoProgram = errors.New("media worker: no program")

// Path finds the program: where the configuration says, beside this program, or in $PATH.
func Path(configured string) (string, error) {
	if configured != "" {
		path, err := exec.LookPath(configured)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoProgram, err)
		}
		return filepath.Abs(path)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), Name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(Name)
	if err != nil {
		return "", fmt.Errorf("%w: %s is neither beside the server nor in $PATH", ErrNoProgram, Name)
	}
	return filepath.Abs(path)
}

// Command is how the program is run. Linux kills it when the thread ends that starts it (see prctl(2),
// PR_SET_PDEATHSIG), so that has to be locked until the process has ended.
func Command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	// Nothing of the server's environment, which may hold secrets, but what finds libraries.
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", wire.Environment}
	if dir, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+dir)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, // no worker outlives the server, however that ends
		Setpgid:   true,            // a ^C at the terminal is the server's to handle
	}
	return cmd
}

// Outgoing holds what is on its way to a process.
type Outgoing interface {
	// Take waits for messages and returns all that wait; nil once it is closed.
	Take() []wire.Message
	// Close lets Take return. It may be called repeatedly.
	Close()
}

// Process is one process.
type Process struct {
	log      *slog.Logger
	outgoing Outgoing
	messages chan wire.Message
	exited   chan struct{} // closed when the process is gone and reaped
	err      error         // how, after exited
	heard    atomic.Int64  // Unix nanoseconds of the last message

	process *os.Process
	quit    chan struct{} // closed by Kill: nobody reads messages any more
	once    sync.Once
}

// Start starts a process and the goroutines that talk to it. They end with the process; the caller
// reads Messages until it is closed, or calls Kill. The process takes what outgoing holds, which is
// closed when it takes no more.
func Start(path string, outgoing Outgoing, log *slog.Logger, args ...string) (*Process, error) {
	p := &Process{
		log:      log,
		outgoing: outgoing,
		messages: make(chan wire.Message, receiveQueue),
		exited:   make(chan struct{}),
		quit:     make(chan struct{}),
	}
	p.heard.Store(time.Now().UnixNano())

	cmd := Command(context.Background(), path, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("media worker: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("media worker: %w", err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("media worker: %w", err)
	}

	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // see Command
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		var pipes sync.WaitGroup
		pipes.Go(func() { p.send(stdin) })
		var broken error
		pipes.Go(func() { broken = p.receive(stdout) })
		pipes.Go(func() { p.logStderr(stderr) })
		// Both pipes end with the process. Wait closes them, so it must come after.
		pipes.Wait()
		p.err = cmp.Or(broken, cmd.Wait())
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("media worker: %w", err)
	}
	return p, nil
}

// Messages are what the process says. The channel is closed when it has said all.
func (p *Process) Messages() <-chan wire.Message { return p.messages }

// Pid is its number.
func (p *Process) Pid() int { return p.process.Pid }

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.process.Signal(s) }

// Silent is how long it has said nothing.
func (p *Process) Silent() time.Duration {
	return time.Duration(time.Now().UnixNano() - p.heard.Load())
}

// Kill ends the process. What it still says is dropped.
func (p *Process) Kill() {
	p.once.Do(func() {
		close(p.quit)
		p.outgoing.Close()
		_ = p.process.Kill()
	})
}

// Wait waits until the process is gone, and returns how it ended.
func (p *Process) Wait() error {
	<-p.exited
	return p.err
}

// send writes queued messages to the process's stdin, several at a time.
func (p *Process) send(stdin io.WriteCloser) {
	defer stdin.Close()
	out := wire.NewWriter(stdin)
	for {
		batch := p.outgoing.Take()
		if batch == nil {
			return
		}
		for _, m := range batch {
			if err := out.Send(m); err != nil {
				// A message that breaks a limit is refused by itself. After anything else
				// the process is gone or does not read: whoever watches it will see.
				if errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrTooLarge) {
					p.log.Error("message to the media worker refused", "err", err)
					continue
				}
				p.outgoing.Close()
				return
			}
		}
		if err := out.Flush(); err != nil {
			p.outgoing.Close()
			return
		}
		time.Sleep(gather)
	}
}

// receive reads the process's messages until its stdout ends. The error is what was wrong with
// them; the process is killed then.
func (p *Process) receive(stdout io.Reader) error {
	defer p.outgoing.Close()
	defer close(p.messages)
	in := wire.NewReader(stdout)
	for {
		m, err := in.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
			return nil // how the process ended says more
		}
		if err != nil {
			p.Kill()
			_, _ = io.Copy(io.Discard, stdout)
			return err
		}
		p.heard.Store(time.Now().UnixNano())
		select {
		case p.messages <- m:
		case <-p.quit:
			_, _ = io.Copy(io.Discard, stdout)
			return nil
		}
	}
}

// logStderr logs what the process writes to stderr, bounded in length and number of lines.
func (p *Process) logStderr(stderr io.Reader) {
	lines := bufio.NewReaderSize(stderr, 1024)
	second, logged := time.Now(), 0
	for {
		line, long, err := lines.ReadLine()
		if err != nil {
			return
		}
		for long && err == nil {
			_, long, err = lines.ReadLine()
		}
		if now := time.Now(); now.Sub(second) >= time.Second {
			second, logged = now, 0
		}
		if logged++; logged <= logLines {
			p.log.Info("media worker says", "line", string(line))
		}
	}
}
