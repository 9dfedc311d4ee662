package ingest

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"amphi/compositor/wire"
	"amphi/server/mediaworker"
)

const (
	// soundQueue is two seconds of sound. A worker that is further behind gets a gap.
	soundQueue = 96

	soundBitrate = 96_000 // of the Opus, bit/s: music is to be good

	// answerLimit is how long a worker may keep an access unit: on a quiet machine two milliseconds, and
	// 0.1 s when it has to start. starvedLimit is for one that waits for a processor.
	answerLimit  = 5 * time.Second
	starvedLimit = 15 * time.Second

	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
	steady     = 20 * time.Second // so long a worker lives that is not at fault for the end of the one before
)

// transcoder makes Opus of AAC, in a media worker of its own. It starts one with the first sound, and another when that
// ends, for as long as there is sound: of what comes in between, nothing is heard.
type transcoder struct {
	worker string
	log    *slog.Logger
	out    func(pts int64, level uint8, packet []byte)
	done   chan struct{} // closed by close
	once   sync.Once
	ended  sync.WaitGroup

	mu      sync.Mutex
	started bool
	config  []byte  // of what came last
	box     *outbox // of the current worker; nil between two
}

func newTranscoder(worker string, log *slog.Logger, out func(pts int64, level uint8, packet []byte)) *transcoder {
	return &transcoder{worker: worker, log: log, out: out, done: make(chan struct{})}
}

// push takes an access unit. It never waits.
func (t *transcoder) push(at time.Duration, config, unit []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started {
		t.started = true
		t.ended.Go(t.run)
	}
	if !bytes.Equal(config, t.config) {
		t.config = bytes.Clone(config)
		if t.box != nil {
			t.box.push(&wire.Transcode{Config: t.config, Bitrate: soundBitrate})
		}
	}
	if t.box != nil {
		t.box.push(&wire.Frame{Capture: int64(at), Key: true, Data: bytes.Clone(unit)})
	}
}

func (t *transcoder) close() {
	t.once.Do(func() { close(t.done) })
	t.ended.Wait()
}

// run keeps a worker.
func (t *transcoder) run() {
	pause := minBackoff
	for {
		began := time.Now()
		err := t.session()
		select {
		case <-t.done:
			return
		default:
		}
		if time.Since(began) > steady {
			pause = minBackoff
		}
		t.log.Warn("sound worker lost", "err", err, "again_in", pause)
		select {
		case <-time.After(pause):
		case <-t.done:
			return
		}
		pause = min(2*pause, maxBackoff)
	}
}

// session is the life of a worker.
func (t *transcoder) session() error {
	path, err := mediaworker.Path(t.worker)
	if err != nil {
		return err
	}
	box := &outbox{wake: make(chan struct{}, 1)}
	w, err := mediaworker.Start(path, box, t.log, "--"+wire.TranscodeFlag)
	if err != nil {
		return err
	}
	t.log.Info("sound worker started", "pid", w.Pid())
	t.mu.Lock()
	box.push(&wire.Transcode{Config: t.config, Bitrate: soundBitrate})
	t.box = box
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.box = nil
		t.mu.Unlock()
	}()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	done := t.done
	for {
		select {
		case m, ok := <-w.Messages():
			if !ok {
				return w.Wait()
			}
			box.answered()
			if s, ok := m.(*wire.Sound); ok {
				t.out(s.PTS, s.Level, s.Data)
			}
		case now := <-look.C:
			if late := box.late(now); late > starvedLimit || late > answerLimit && !w.Starved() {
				t.log.Warn("sound worker hangs", "for", late.Round(time.Second))
				w.Kill()
			}
		case <-done:
			w.Kill() // its messages end
			done = nil
		}
	}
}

// outbox is what waits for a worker. It implements [mediaworker.Outgoing].
type outbox struct {
	wake chan struct{} // one slot

	mu     sync.Mutex
	list   []wire.Message
	closed bool
	asked  time.Time // the first message that the worker has not answered; zero: none
}

// push adds a message, if there is room.
func (b *outbox) push(m wire.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.list) >= soundQueue {
		return
	}
	b.list = append(b.list, m)
	if b.asked.IsZero() {
		b.asked = time.Now()
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// answered is told that the worker lives.
func (b *outbox) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = time.Time{}
}

// late is how long the worker has not answered.
func (b *outbox) late(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked.IsZero() {
		return 0
	}
	return now.Sub(b.asked)
}

// Take implements [mediaworker.Outgoing].
func (b *outbox) Take() []wire.Message {
	for {
		b.mu.Lock()
		list, closed := b.list, b.closed
		b.list = nil
		b.mu.Unlock()
		if closed {
			return nil
		}
		if len(list) > 0 {
			return list
		}
		<-b.wake
	}
}

// Close implements [mediaworker.Outgoing].
func (b *outbox) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.list = true, nil
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
