package live

import (
	"time"

	"amphi/compositor/wire"
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
		s.takeVideo(m)
	case *wire.Audio:
		s.m.counters.audioOut.Add(1)
		s.takeAudio(m)
	case *wire.NeedKey:
		for _, f := range s.feeds {
			if f.input.ID == m.Input {
				f.tap.RequestKeyFrame()
			}
		}
	case *wire.Stats:
		s.takeStats(m)
	}
}

// brief tells a new worker what to make and what to show. From then on it gets frames.
func (s *stream) brief() {
	fps := s.fps
	start := &wire.Start{
		Renditions:   renditions(s.layers),
		FPS:          uint8(fps),
		KeyInterval:  uint16(fps), // a key picture a second: segments of a second
		AudioBitrate: uint32(s.layers[0].AudioBitrate) * 1000,
	}
	if !s.epoch.IsZero() {
		start.Offset = onGrid(time.Since(s.epoch), fps)
		s.resumeAt = start.Offset
	}
	s.worker.Store(s.current)
	s.show(start)
	for _, f := range s.feeds {
		f.tap.RequestKeyFrame()
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

// started keeps the clock that the first worker has set: now there is something to be had.
func (s *stream) started(m *wire.Started) {
	if !s.epoch.IsZero() {
		return
	}
	s.epoch = time.Unix(0, m.Epoch)
	s.begin()
	s.publish()
}

func (s *stream) takeVideo(m *wire.Video) {
	if s.epoch.IsZero() {
		return
	}
	pts := onClock(m.PTS, wire.VideoClock)
	taken := true
	if s.broadcast != nil {
		var needKey bool
		if taken, needKey = s.broadcast.packageVideo(m, pts); needKey {
			s.forceKey()
		}
	}
	for _, o := range s.outlets {
		o.cfg.Sink.Video(int(m.Rendition), pts, m.Key, m.Data)
	}
	if taken && !s.producing {
		s.producing = true
		s.log.Info("first picture", "after", time.Since(s.begun).Round(time.Millisecond), "at", pts)
	}
}

func (s *stream) takeAudio(m *wire.Audio) {
	if s.epoch.IsZero() {
		return
	}
	pts := onClock(m.PTS, wire.AudioClock)
	if s.broadcast != nil {
		s.broadcast.packageAudio(m.Data, pts)
	}
	for _, o := range s.outlets {
		o.cfg.Sink.Audio(pts, m.Data)
	}
}

// forceKey asks the current worker for a key picture, at most twice a second.
func (s *stream) forceKey() {
	if now := time.Now(); s.current != nil && now.Sub(s.forced) > time.Second/2 {
		s.forced = now
		s.current.outgoing.push(&wire.ForceKey{})
	}
}
