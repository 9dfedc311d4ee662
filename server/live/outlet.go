package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/room"
	"amphi/server/store"
)

// Sink takes what a stream makes, for a recording or for a push to another service: the same units that
// players get, encoded once. Its methods are called in the stream's goroutine and must not wait. Units
// are shared by all that take them; nobody may change them.
type Sink interface {
	// Begin comes before the first unit, and again before units of another size: from then on key
	// pictures have other parameter sets.
	Begin(Format)
	// Video is one H.264 access unit in Annex-B form. Key pictures carry SPS and PPS and come once a
	// second in all sizes at once; there are no B pictures. The first one may be no key picture, and
	// none comes while a worker is replaced.
	Video(rendition int, pts time.Duration, key bool, au []byte)
	// Audio is one raw AAC-LC access unit of 1024 samples.
	Audio(pts time.Duration, au []byte)
	// End is the last call.
	End(Ended)
}

// Format is what a stream makes.
type Format struct {
	Sizes        []Size // renditions, best first
	AudioBitrate int    // bit/s
	FrameRate    int
	SampleRate   int
	Channels     int
	Epoch        time.Time // wall clock at presentation time zero
}

// Size is one rendition.
type Size struct {
	Width, Height int // pixels
	Bitrate       int // bit/s
}

// Ended says why something ended. A failure has a text instead of a reason.
type Ended struct {
	Reason  string // one of store's
	Failure string
	Type    string // of a failure, as the API and webhooks name it; empty: INTERNAL_ERROR
}

// Record is a failure's record.
func (e Ended) Record() store.Failure {
	return store.Failure{At: time.Now(), Type: cmp.Or(e.Type, "INTERNAL_ERROR"), Message: e.Failure}
}

// OutletConfig says what an outlet wants.
type OutletConfig struct {
	Sink Sink
	// Width and Height are in pixels, 1280 by 720 when they are zero. They count only when nothing
	// else is made of the room yet: what there is already is shared.
	Width, Height int
	MeetingURL    string        // of a page to compose, see [Manager.pageFor]; likewise
	MaxDuration   time.Duration // zero: the server's default, as for live streams
	AutoStop      time.Duration // after the last peer left the stage, likewise
	Began         time.Time     // what MaxDuration counts from; zero: now
}

// Outlet is a recording's or a push's part of a room's stream.
type Outlet struct {
	stream *stream
	cfg    OutletConfig
	limits limits
}

// Attach gives a room's stream to a sink, beside its live stream if there is one. Otherwise the room is
// composed for the sink alone, without playlists. Sink.End follows for certain when there is no error,
// which is a [*protocol.Error].
func (m *Manager) Attach(ctx context.Context, r *room.Room, c OutletConfig) (*Outlet, error) {
	page, err := m.pageFor(ctx, r, c.MeetingURL)
	if err != nil {
		return nil, err
	}
	s, err := m.claim(ctx, r, claim{page: page, need: cost((&Outlet{cfg: c}).layers(), defaultFrameRate)})
	if err != nil {
		return nil, err
	}
	if err := s.hold(ctx); err != nil {
		m.release(s, false)
		return nil, err
	}
	if c.Began.IsZero() {
		c.Began = time.Now()
	}
	o := &Outlet{stream: s, cfg: c, limits: m.limits(c.Began, 0, 0)}
	if c.MaxDuration > 0 {
		o.limits.most = c.MaxDuration
	}
	if c.AutoStop > 0 {
		o.limits.alone = c.AutoStop
	}
	name := ""
	if d := destination(s.info.Template, ""); d != nil {
		name = d.Name // composed as the live stream would be
	}
	l := s.openLayout(ctx, name, nil)
	if end := s.do(func() { s.addOutlet(o, l) }); end != nil {
		o.close(*end)
		m.release(s, false)
	}
	return o, nil
}

// Detach ends the outlet: Sink.End follows, after what is still being encoded if nobody else takes the stream.
func (o *Outlet) Detach(reason string) {
	o.stream.do(func() { o.stream.dropOutlet(o, Ended{Reason: reason}) })
}

func (s *stream) addOutlet(o *Outlet, l layoutView) {
	s.outlets = append(s.outlets, o)
	if s.finished { // it ends with the others
		return
	}
	if s.broadcast == nil && len(s.outlets) == 1 {
		s.follow(l)
	}
	if !s.plan() && !s.epoch.IsZero() {
		o.cfg.Sink.Begin(s.format())
	}
}

func (s *stream) dropOutlet(o *Outlet, end Ended) {
	if !slices.Contains(s.outlets, o) {
		return
	}
	s.leave(false, func() {
		s.outlets = slices.DeleteFunc(s.outlets, func(other *Outlet) bool { return other == o })
		o.close(end)
	})
}

func (o *Outlet) close(end Ended) {
	o.cfg.Sink.End(end)
	o.stream.room.Release()
}

// layers is what is made for the outlet alone. A picture of 1280 by 720 gets 2,500 kbit/s.
func (o *Outlet) layers() []policy.HLSLayer {
	w, h := o.cfg.Width&^1, o.cfg.Height&^1
	if w <= 0 || h <= 0 {
		w, h = 1280, 720
	}
	return []policy.HLSLayer{{Width: w, Height: h, VideoBitrate: max(600, w*h*2500/(1280*720)), AudioBitrate: 128}}
}

// format is what the current plan makes.
func (s *stream) format() Format {
	f := Format{AudioBitrate: s.layers[0].AudioBitrate * 1000, FrameRate: s.fps, SampleRate: audioRate, Channels: audioChannels, Epoch: s.epoch}
	for _, l := range s.layers {
		f.Sizes = append(f.Sizes, Size{l.Width, l.Height, l.VideoBitrate * 1000})
	}
	return f
}

// begin tells all outlets what they get.
func (s *stream) begin() {
	for _, o := range s.outlets {
		o.cfg.Sink.Begin(s.format())
	}
}

// limits say when whoever takes a stream has had enough of it.
type limits struct {
	began time.Time
	most  time.Duration
	alone time.Duration // with nobody on stage
}

// limits are those of a template, in seconds, or the server's.
func (m *Manager) limits(began time.Time, maxDuration, autoStop int) limits {
	l := limits{began: began, most: m.cfg.MaxDuration, alone: m.cfg.AutoStop}
	if maxDuration > 0 {
		l.most = time.Duration(maxDuration) * time.Second
	}
	if autoStop > 0 {
		l.alone = time.Duration(autoStop) * time.Second
	}
	return l
}

// reached returns the reason to end now. The stage is empty since then; zero: it is not.
func (l limits) reached(now, emptySince time.Time) (reason string, yes bool) {
	if now.Sub(l.began) >= l.most {
		return store.StoppedMaxDuration, true
	}
	if emptySince.IsZero() {
		return "", false
	}
	if emptySince.Before(l.began) {
		emptySince = l.began
	}
	return store.StoppedLastPeer, now.Sub(emptySince) >= l.alone
}
