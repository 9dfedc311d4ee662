//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/mix"
	"amphi/compositor/wire"
)

const (
	// maxInputs bounds the decoders of a process.
	maxInputs = 64

	// heartbeat is the interval of Stats, and so of the levels by which the server tells who speaks.
	heartbeat = 200 * time.Millisecond
)

// worker is the process. Everything in it happens at a tick, on one goroutine and in one order:
// the server's messages are taken in, the pictures that are due are decoded and drawn, the sound
// of the tick is mixed, and what came of it is sent in one write. A worker of a few people so
// wakes 30 times a second, not 500, and its caches stay warm for the length of a tick. Where one
// processor is not enough, pictures are decoded and encoded by several.
//
// Both outputs count from one monotonic start: ticks make the picture's timestamps and samples
// the sound's, so the two never part. Neither has gaps: each tick has a picture, and if the time
// for it is over before the worker comes to it, the last one is repeated, which costs nothing. So
// a machine that is too slow shows fewer different pictures, but parts of the stream stay equally
// long and no player has to guess its frame rate.
type worker struct {
	in    *inbox
	out   *wire.Writer
	log   *slog.Logger
	start *wire.Start

	inputs  map[uint32]*input
	mixer   mix.Mixer
	sound   *sound
	picture *picture

	busy     time.Duration // processor and waiting time of a tick, mean of about a second
	repeated uint64        // ticks whose picture was repeated because the worker was behind
	meter    meter
}

// input is one sender's stream. Exactly one of video and audio is set.
type input struct {
	id    uint32
	sync  uint32
	video *videoInput
	audio *mix.Input
}

// newWorker returns a worker between two pipes.
func newWorker(in *os.File, out io.Writer, log *slog.Logger) *worker {
	return &worker{in: newInbox(in), out: wire.NewWriter(out), log: log, inputs: make(map[uint32]*input)}
}

// run works until the server says Stop, closes the stream, or something breaks.
func (w *worker) run() error {
	defer w.in.close()
	if err := w.send(&wire.Hello{Libraries: codec.Versions()}); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	m, err := w.in.first()
	if err != nil {
		return err
	}
	start, ok := m.(*wire.Start)
	if !ok {
		return fmt.Errorf("first message is %T", m)
	}
	w.start = start
	if w.sound, err = newSound(w); err != nil {
		return err
	}
	defer w.sound.close()
	if w.picture, err = newPicture(w); err != nil {
		return err
	}
	defer w.picture.close()
	defer func() {
		for id := range w.inputs {
			w.remove(id)
		}
	}()

	w.meter.at = cpuTime()
	begin := time.Now()
	started := &wire.Started{Epoch: begin.UnixNano() - int64(start.Offset), AudioConfig: w.sound.config}
	if err := w.send(started); err != nil {
		return err
	}
	if err := w.ticks(begin); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// errStopped ends the worker as the server wants it.
var errStopped = errors.New("stopped")

// ticks is the life of the worker.
func (w *worker) ticks(begin time.Time) error {
	fps := int64(w.start.FPS)
	length := time.Second / time.Duration(fps)
	nextStats := begin.Add(heartbeat)
	for tick := int64(0); ; tick++ {
		due := begin.Add(time.Duration(tick) * time.Second / time.Duration(fps))
		sleepUntil(due)
		now := time.Now()
		if now.Sub(due) > length {
			w.repeated++
			if err := w.picture.repeat(tick); err != nil {
				return err
			}
			continue
		}
		// Whatever is sent goes out below, so that the server is woken once.
		err := w.takeMessages(now)
		w.meter.lap(wire.StageInput)
		if err == nil {
			err = w.picture.at(tick, now)
		}
		if err == nil {
			err = w.sound.until(begin, due.Add(length), now)
		}
		w.meter.lap(wire.StageSound)
		if err == nil && !now.Before(nextStats) {
			nextStats = now.Add(heartbeat)
			err = w.send(w.collect(tick))
		}
		if flushed := w.out.Flush(); err == nil {
			err = flushed
		}
		w.meter.lap(wire.StageOutput)
		if err != nil {
			return err
		}
		w.busy += (time.Since(now) - w.busy) / 32
	}
}

// crowded says that a tick's work does not fit a tick any more if one processor does it all.
func (w *worker) crowded() bool {
	return w.busy > time.Second/time.Duration(w.start.FPS)/2
}

// send queues a message for the end of the tick.
func (w *worker) send(m wire.Message) error { return w.out.Send(m) }

// takeMessages handles what the server has sent, in order. The error is errStopped at its Stop,
// io.EOF at the end of the stream.
func (w *worker) takeMessages(now time.Time) error {
	for range maxMessages {
		m, err := w.in.take()
		if m == nil || err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Frame:
			w.frame(m, now)
		case *wire.AddInput:
			if err := w.add(m); err != nil {
				w.log.Warn("input refused", "input", m.ID, "codec", m.Codec, "err", err)
			}
		case *wire.RemoveInput:
			w.remove(m.ID)
		case *wire.Scene:
			w.picture.canvas.SetScene(m)
		case *wire.Bitmap:
			w.picture.uploads.drop(m.ID)
			if !w.picture.canvas.SetBitmap(m) {
				w.log.Warn("bitmap refused: too many", "bitmap", m.ID, "width", m.W, "height", m.H)
			}
		case *wire.Picture:
			if !w.picture.uploads.add(m) {
				w.log.Warn("picture refused: too many wait", "bitmap", m.ID)
			}
		case *wire.DropBitmap:
			w.picture.uploads.drop(m.ID)
			w.picture.canvas.DropBitmap(m.ID)
		case *wire.Float:
			w.picture.canvas.AddFloat(m)
		case *wire.Music:
			if err := w.mixer.Play(m.Data); err != nil {
				w.log.Warn("music refused", "err", err)
			}
		case *wire.Tune:
			if err := w.tune(m); err != nil {
				w.log.Warn("tune refused", "err", err)
			}
		case *wire.ForceKey:
			w.picture.force = true
		case *wire.Stop:
			return errStopped
		default:
			return fmt.Errorf("unexpected %T from the server", m)
		}
	}
	return nil
}

// tune begins, changes or ends the tune that is played.
func (w *worker) tune(m *wire.Tune) error {
	volume := float32(m.Volume) / 100
	if len(m.Data) > 0 || volume == 0 {
		return w.mixer.PlayTune(m.Data, volume, m.Paused)
	}
	w.mixer.SetTune(volume, m.Paused)
	return nil
}

func (w *worker) frame(f *wire.Frame, now time.Time) {
	in := w.inputs[f.Input]
	switch {
	case in == nil: // frames overtake RemoveInput
	case in.video != nil:
		in.video.push(f, now)
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
		v, err := newVideoInput(m.Codec)
		if err != nil {
			return err
		}
		in.video = v
	} else {
		d, err := codec.NewOpusDecoder()
		if err != nil {
			return err
		}
		in.audio = mix.NewInput(d)
		w.mixer.Add(in.audio)
	}
	w.inputs[m.ID] = in
	return nil
}

func (w *worker) remove(id uint32) {
	in := w.inputs[id]
	if in == nil {
		return
	}
	delete(w.inputs, id)
	if in.video != nil {
		w.picture.canvas.DropPicture(id)
		in.video.close()
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
	for _, in := range w.inputs {
		if in.sync == group && in.audio != nil {
			if d, known := in.audio.Delay(); known {
				return d
			}
		}
	}
	return 0
}
