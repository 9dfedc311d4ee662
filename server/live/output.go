package live

import (
	"errors"
	"path/filepath"
	"time"

	"amphi/compositor/wire"
	"amphi/server/hls"
)

// hear takes one message of the worker.
func (s *stream) hear(m wire.Message) {
	switch m := m.(type) {
	case *wire.Hello:
		s.log.Info("media worker ready", "libraries", m.Libraries, "after", time.Since(s.begun).Round(time.Millisecond))
		s.brief()
	case *wire.Started:
		s.started(m)
	case *wire.Video:
		s.m.counters.videoOut.Add(1)
		s.packageVideo(m)
	case *wire.Audio:
		s.m.counters.audioOut.Add(1)
		if s.out != nil {
			if err := s.out.WriteAudio(onClock(m.PTS, wire.AudioClock), m.Data); err != nil {
				s.log.Error("audio could not be packaged", "err", err)
			}
		}
	case *wire.NeedKey:
		for _, f := range s.feeds {
			if f.input.ID == m.Input {
				f.media.RequestKeyFrame()
			}
		}
	case *wire.Stats:
		s.takeStats(m)
	}
}

// brief tells a new worker what to make and what to show. From then on it gets frames.
func (s *stream) brief() {
	fps := s.frameRate()
	start := &wire.Start{
		Renditions:   renditions(s.layers),
		FPS:          uint8(fps),
		KeyInterval:  uint16(fps), // a key picture a second: segments of a second
		AudioBitrate: uint32(s.layers[0].AudioBitrate) * 1000,
	}
	if s.out != nil {
		start.Offset = onGrid(time.Since(s.epoch), fps)
		s.resumeAt = start.Offset
	}
	s.worker.Store(s.current)
	s.show(start)
	for _, f := range s.feeds {
		f.media.RequestKeyFrame()
	}
}

// onGrid rounds a time up to one at which a picture is due that is a whole number of
// milliseconds, so that the pictures of the next worker stand in step with those of the last.
func onGrid(d time.Duration, fps int) time.Duration {
	step := time.Duration(1000/gcd(1000, fps)) * time.Millisecond
	return (d + step - 1) / step * step
}

// onClock is the time of a tick.
func onClock(t, rate int64) time.Duration {
	return time.Duration(t/rate)*time.Second + time.Duration(t%rate)*time.Second/time.Duration(rate)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// started puts the stream's playlists in place when its first worker has set the clock.
func (s *stream) started(m *wire.Started) {
	if s.out != nil {
		return
	}
	s.epoch = time.Unix(0, m.Epoch)
	out, err := hls.NewStream(hls.Config{
		Start: s.epoch, FrameRate: s.frameRate(), Renditions: variants(s.layers),
		SampleRate: audioRate, Channels: audioChannels, Log: s.log,
		Event: s.event(), Dir: filepath.Join(s.m.cfg.Dir, s.record.ID),
	})
	if err != nil { // its directory; the parameters are constant here
		s.stop(ending{failure: err.Error()})
		return
	}
	s.out = out
	s.m.cfg.Origin.Put(s.key, out)
}

func (s *stream) packageVideo(m *wire.Video) {
	if s.out == nil {
		return
	}
	pts := onClock(m.PTS, wire.VideoClock)
	switch err := s.out.WriteVideo(int(m.Rendition), pts, m.Key, m.Data); {
	case err == nil:
		if !s.producing {
			s.producing = true
			s.log.Info("first picture", "after", time.Since(s.begun).Round(time.Millisecond), "at", pts)
		}
	case errors.Is(err, hls.ErrNeedKey):
		s.m.counters.refused.Add(1)
		if now := time.Now(); now.Sub(s.forced) > time.Second/2 {
			s.forced = now
			s.current.outgoing.push(&wire.ForceKey{})
		}
	default:
		s.m.counters.refused.Add(1)
		s.log.Error("picture could not be packaged", "err", err)
	}
}
