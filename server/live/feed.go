package live

import (
	"amphi/compositor/wire"
	"amphi/server/sfu"
)

// feed carries one track's frames to whichever worker is current. It has a goroutine, which
// never waits for a worker.
type feed struct {
	input wire.AddInput
	media *sfu.Track // what the tap is of
	tap   *sfu.Tap
	done  chan struct{}
}

// startFeed begins to carry a track's frames to the workers of s.
func startFeed(s *stream, input wire.AddInput, media *sfu.Track) *feed {
	f := &feed{input: input, media: media, tap: media.Tap(sfu.TapConfig{}), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for frame := range f.tap.Frames() {
			w := s.worker.Load()
			if w == nil {
				s.m.counters.framesDropped.Add(1)
				continue
			}
			if w.outgoing.pushFrame(input, &wire.Frame{
				Input:   input.ID,
				RTP:     frame.RTPTime,
				Capture: frame.Capture.UnixNano(),
				Key:     frame.Key,
				Data:    frame.Data,
			}) {
				f.tap.RequestKeyFrame()
			}
		}
	}()
	return f
}

// stop ends the feed. When it returns nothing more of it gets into a queue.
func (f *feed) stop() {
	f.tap.Close()
	<-f.done
}

// codecOf translates the SFU's codecs to the worker's.
func codecOf(c sfu.Codec) wire.Codec {
	switch c {
	case sfu.VP8:
		return wire.VP8
	case sfu.H264:
		return wire.H264
	case sfu.VP9:
		return wire.VP9
	case sfu.AV1:
		return wire.AV1
	default:
		return wire.Opus
	}
}
