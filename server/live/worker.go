package live

import (
	"bufio"
	"cmp"
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

// WorkerName is the file name of the media worker.
const WorkerName = "amphi-compositor"

const (
	// receiveQueue is how many messages of a worker wait for the stream's goroutine. A worker
	// sends about 80 a second, so this is three seconds; after that the pipe fills and the
	// worker waits.
	receiveQueue = 256

	// gather is how long messages to a worker are gathered to be written at once. It takes them
	// in at its ticks only, and a write for each packet of each person would cost both sides.
	gather = 10 * time.Millisecond

	// logLines is how many lines a second of a worker's stderr are logged.
	logLines = 20
)

// workerPath finds the media worker: where the configuration says, beside this program, or in
// $PATH.
func workerPath(configured string) (string, error) {
	if configured != "" {
		path, err := exec.LookPath(configured)
		if err != nil {
			return "", fmt.Errorf("media worker: %w", err)
		}
		return filepath.Abs(path)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), WorkerName)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(WorkerName)
	if err != nil {
		return "", fmt.Errorf("media worker: %s is neither beside the server nor in $PATH", WorkerName)
	}
	return filepath.Abs(path)
}

// worker is one media worker process. It is a child without network and without secrets: what
// it needs comes through its stdin, what it makes through its stdout.
type worker struct {
	log      *slog.Logger
	outgoing *queue
	messages chan wire.Message // what the worker says; closed when it has said all
	exited   chan struct{}     // closed when the process is gone and reaped
	exitErr  error             // how, after exited
	heard    atomic.Int64      // Unix nanoseconds of the last message
	stats    atomic.Pointer[wire.Stats]

	process *os.Process
	quit    chan struct{} // closed by kill: nobody reads messages any more
	once    sync.Once
}

// startWorker starts a process and the goroutines that talk to it. They end with the process;
// the caller reads messages until it is closed, or calls kill.
func startWorker(path string, log *slog.Logger) (*worker, error) {
	w := &worker{
		log:      log,
		outgoing: newQueue(),
		messages: make(chan wire.Message, receiveQueue),
		exited:   make(chan struct{}),
		quit:     make(chan struct{}),
	}
	w.heard.Store(time.Now().UnixNano())

	cmd := exec.Command(path)
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
		// The kernel sends Pdeathsig when the thread that forked ends, not the process
		// (prctl(2)). So that thread is kept for as long as the worker lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		w.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		var pipes sync.WaitGroup
		pipes.Go(func() { w.send(stdin) })
		var broken error
		pipes.Go(func() { broken = w.receive(stdout) })
		pipes.Go(func() { w.logStderr(stderr) })
		// Both pipes end with the process. Wait closes them, so it must come after.
		pipes.Wait()
		w.exitErr = cmp.Or(broken, cmd.Wait())
		close(w.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("media worker: %w", err)
	}
	return w, nil
}

// send writes queued messages to the worker's stdin, several at a time.
func (w *worker) send(stdin io.WriteCloser) {
	defer stdin.Close()
	out := wire.NewWriter(stdin)
	for {
		batch := w.outgoing.take()
		if batch == nil {
			return
		}
		for _, m := range batch {
			if err := out.Send(m); err != nil {
				// A message that breaks a limit is refused by itself. After anything else
				// the worker is gone or does not read: whoever watches it will see.
				if errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrTooLarge) {
					w.log.Error("message to the media worker refused", "err", err)
					continue
				}
				w.outgoing.close()
				return
			}
		}
		if err := out.Flush(); err != nil {
			w.outgoing.close()
			return
		}
		time.Sleep(gather)
	}
}

// receive reads the worker's messages until its stdout ends. The error is what was wrong with
// them; the worker is killed then.
func (w *worker) receive(stdout io.Reader) error {
	defer w.outgoing.close()
	defer close(w.messages)
	in := wire.NewReader(stdout)
	for {
		m, err := in.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
			return nil // how the process ended says more
		}
		if err != nil {
			w.kill()
			_, _ = io.Copy(io.Discard, stdout)
			return err
		}
		w.heard.Store(time.Now().UnixNano())
		select {
		case w.messages <- m:
		case <-w.quit:
			_, _ = io.Copy(io.Discard, stdout)
			return nil
		}
	}
}

// logStderr logs what the worker writes to stderr, bounded in length and number of lines.
func (w *worker) logStderr(stderr io.Reader) {
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
			w.log.Info("media worker says", "line", string(line))
		}
	}
}

// silent is how long the worker has said nothing.
func (w *worker) silent() time.Duration {
	return time.Duration(time.Now().UnixNano() - w.heard.Load())
}

// stop asks the worker to finish what it has and exit.
func (w *worker) stop() {
	w.outgoing.push(&wire.Stop{})
}

// kill ends the process. What it still says is dropped.
func (w *worker) kill() {
	w.once.Do(func() {
		close(w.quit)
		w.outgoing.close()
		_ = w.process.Kill()
	})
}

// addTo adds what the worker has done so far.
func (w *worker) addTo(st *Stats) {
	q := w.outgoing.read()
	st.FramesIn += q.queued
	st.FramesDropped += q.dropped
	if m := w.stats.Load(); m != nil {
		st.WorkerCPU += m.CPU
		st.WorkerMemory += m.Memory
		st.TicksRepeated += m.TicksRepeated
	}
}

// settle adds the totals of a worker that has ended.
func (w *worker) settle(c *counters) {
	var st Stats
	w.addTo(&st)
	c.framesIn.Add(st.FramesIn)
	c.framesDropped.Add(st.FramesDropped)
	c.workerCPU.Add(int64(st.WorkerCPU))
	c.ticksRepeated.Add(st.TicksRepeated)
}
