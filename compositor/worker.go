//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/mix"
	"amphi/compositor/wire"
)

// maxInputs bounds the decoders of a process.
const maxInputs = 64

// worker is the process: the reader of the server's messages, which owns the inputs, and two
// clocks that make the output.
type worker struct {
	in    *wire.Reader
	out   *output
	log   *slog.Logger
	start *wire.Start

	done  chan struct{} // closed when the worker ends
	ended sync.Once
	err   error // why; set before done is closed

	inputs map[uint32]*input // owned by run
	mixer  *mix.Mixer
	video  *videoClock
	audio  *audioClock

	mu    sync.Mutex
	stats map[uint32]*input // the same as inputs, for the goroutine that sends Stats
}

// input is one sender's stream. Exactly one of video and audio is set.
type input struct {
	id    uint32
	sync  uint32
	video *videoInput
	audio *mix.Input
}

// output serializes what the goroutines send.
type output struct {
	mu sync.Mutex
	w  *wire.Writer
}

// send writes messages at once.
func (o *output) send(messages ...wire.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range messages {
		if err := o.w.Send(m); err != nil {
			return err
		}
	}
	return o.w.Flush()
}

func newWorker(r io.Reader, w io.Writer, log *slog.Logger) *worker {
	return &worker{
		in:     wire.NewReader(r),
		out:    &output{w: wire.NewWriter(w)},
		log:    log,
		done:   make(chan struct{}),
		inputs: make(map[uint32]*input),
		stats:  make(map[uint32]*input),
		mixer:  new(mix.Mixer),
	}
}

// run works until the server says Stop, closes the stream, or something breaks.
func (w *worker) run() error {
	if err := w.out.send(&wire.Hello{Libraries: codec.Versions()}); err != nil {
		return err
	}
	m, err := w.in.Next()
	if err != nil {
		return err
	}
	start, ok := m.(*wire.Start)
	if !ok {
		return fmt.Errorf("first message is %T", m)
	}
	w.start = start
	if w.audio, err = newAudioClock(w); err != nil {
		return err
	}
	defer w.audio.close()
	if w.video, err = newVideoClock(w); err != nil {
		return err
	}
	defer w.video.close()

	begin := time.Now()
	started := &wire.Started{Epoch: begin.UnixNano() - int64(start.Offset), AudioConfig: w.audio.config}
	if err := w.out.send(started); err != nil {
		return err
	}

	var clocks sync.WaitGroup
	for _, clock := range []func(time.Time) error{w.audio.run, w.video.run, w.reportStats} {
		clocks.Go(func() { w.end(clock(begin)) })
	}
	read := make(chan struct{})
	go func() {
		err := w.read()
		close(read)
		w.end(err)
	}()
	<-w.done
	clocks.Wait()
	select {
	case <-read:
		for id := range w.inputs {
			w.remove(id)
		}
	default:
		// The reader waits for a server that does not take what we send: the process ends, and
		// its decoders with it.
	}
	return w.err
}

// end ends the worker. The first reason stays.
func (w *worker) end(err error) {
	w.ended.Do(func() {
		w.err = err
		close(w.done)
	})
}

// read handles the server's messages in order until it says Stop (nil) or the stream ends.
func (w *worker) read() error {
	for {
		m, err := w.in.Next()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Frame:
			w.frame(m)
		case *wire.AddInput:
			if err := w.add(m); err != nil {
				w.log.Warn("input refused", "input", m.ID, "codec", m.Codec, "err", err)
			}
		case *wire.RemoveInput:
			w.remove(m.ID)
		case *wire.Scene, *wire.Bitmap, *wire.DropBitmap, *wire.ForceKey:
			w.video.tell(m)
		case *wire.Stop:
			return nil
		default:
			return fmt.Errorf("unexpected %T from the server", m)
		}
	}
}

func (w *worker) frame(f *wire.Frame) {
	in := w.inputs[f.Input]
	switch {
	case in == nil: // frames overtake RemoveInput
	case in.video != nil:
		in.video.push(f)
	default:
		in.audio.Push(f.RTP, codec.OpusSamples(f.Data), time.Unix(0, f.Capture), f.Data)
	}
}

func (w *worker) add(m *wire.AddInput) error {
	w.remove(m.ID)
	if len(w.inputs) >= maxInputs {
		return errors.New("too many inputs")
	}
	in := &input{id: m.ID, sync: m.Sync}
	if m.Codec.Video() {
		v, err := newVideoInput(w, m)
		if err != nil {
			return err
		}
		in.video = v
		w.video.tell(addVideo{v})
	} else {
		d, err := codec.NewOpusDecoder()
		if err != nil {
			return err
		}
		in.audio = mix.NewInput(d)
		w.mixer.Add(in.audio)
	}
	w.inputs[m.ID] = in
	w.mu.Lock()
	w.stats[m.ID] = in
	w.mu.Unlock()
	return nil
}

func (w *worker) remove(id uint32) {
	in := w.inputs[id]
	if in == nil {
		return
	}
	delete(w.inputs, id)
	w.mu.Lock()
	delete(w.stats, id)
	w.mu.Unlock()
	if in.video != nil {
		in.video.stop()
		w.video.tell(removeVideo{in.video})
	} else {
		w.mixer.Remove(in.audio)
		in.audio.Close()
	}
}

// audioDelay is how much later than captured the sound of a group is played.
func (w *worker) audioDelay(group uint32) time.Duration {
	if group == 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range w.stats {
		if in.sync == group && in.audio != nil {
			if d, known := in.audio.Delay(); known {
				return d
			}
		}
	}
	return 0
}
