package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/pagecast"
	"amphi/server/protocol"
	"amphi/server/room"
)

const (
	// A page that does not bring anybody into the room is tried pageTries times in all, with pauses between.
	pageTries = 3
	pagePause = time.Second

	// attendInterval is how often a page's stream looks who is in the room.
	attendInterval = 500 * time.Millisecond

	// pageAway is how long nobody may be there whom the page has brought, before it counts as broken: longer than a
	// client takes to find another way when its connection is lost.
	pageAway = 45 * time.Second

	// PageLimit is how long it may take until a page is composed, or has failed.
	PageLimit = 2 * time.Minute

	// pageTrack stands for the page's picture where others have a track's id.
	pageTrack = "page"
)

// Studio films web pages; [pagecast.Studio] is one.
type Studio interface {
	Film(ctx context.Context, p pagecast.Page, sink pagecast.Sink) error
}

// page is a web page that is composed instead of the stage: its film is one input of the worker that fills the canvas,
// and another one that is heard. So all that follows is as it is for a stage. It begins when the page has brought somebody
// into the room, which is what tells that the page works.
//
// A goroutine of its own films the page, again and again when that ends, and looks who is in the room.
type page struct {
	s   *stream
	url string

	picture, sound wire.AddInput

	// What follows belongs to the stream's goroutine.
	joined bool                    // the page has brought somebody, once
	cancel context.CancelCauseFunc // ends the goroutine; nil before it runs
	size   chan pageSize           // one slot: what to film at from now on
	now    pageSize
	done   sync.WaitGroup
}

// pageSize is how large a page is filmed, in pixels, and how often in a second.
type pageSize struct{ width, height, fps int }

func newPage(s *stream, url string) *page {
	// Inputs are numbered by the stream, which has no others.
	const sync = 1
	return &page{s: s, url: url, size: make(chan pageSize, 1),
		picture: wire.AddInput{ID: 1, Codec: wire.H264, Sync: sync}, sound: wire.AddInput{ID: 2, Codec: wire.Opus, Sync: sync}}
}

// CheckMeetingURL says whether a meeting URL can be composed; the error is a [*protocol.Error].
func (m *Manager) CheckMeetingURL(ctx context.Context, r *room.Room, meetingURL string) error {
	_, err := m.pageFor(ctx, r, meetingURL)
	return err
}

// pageFor is the page that a meeting URL asks for; empty when the stage is composed: without one, with a link of the
// room's own that wants nothing but the room, and where no pages are opened. Many clients name a page always, since other
// services need one, and want nothing but the room.
func (m *Manager) pageFor(ctx context.Context, r *room.Room, meetingURL string) (string, error) {
	if meetingURL == "" {
		return "", nil
	}
	u, err := url.Parse(meetingURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", protocol.Errorf(protocol.CodeBadRequest, "meeting_url must be an http or https URL")
	}
	own := ""
	if m.cfg.OwnLink != nil {
		if own, err = m.cfg.OwnLink(ctx, r.ID(), u); err != nil {
			m.cfg.Log.Error("meeting URL", "room", r.ID(), "err", err)
			return "", protocol.Errorf(protocol.CodeInternal, "meeting_url could not be looked at")
		}
	}
	switch {
	case own != "" && !wantsPage(u):
		return "", nil
	case m.cfg.Studio == nil:
		m.cfg.Log.Info("meeting_url is not opened, as composition.browser is not set: the room is composed itself", "room", r.ID(), "host", u.Host)
		return "", nil
	case own != "":
		return own, nil
	}
	return meetingURL, nil
}

// wantsPage says whether a link of the room's own asks for something that the page does and the compositor does not.
func wantsPage(u *url.URL) bool {
	q := u.Query()
	return q.Get("skip_preview_headful") == "true" || q.Has("auth_token") || q.Has("ui_mode")
}

// open has the page filmed for a canvas, and says whether there is anything to compose yet.
func (p *page) open(c layout.Canvas, fps int) bool {
	size := pageSize{c.W, c.H, fps}
	if p.cancel == nil {
		var ctx context.Context
		ctx, p.cancel = context.WithCancelCause(context.Background())
		p.now = size
		p.done.Go(func() { p.run(ctx, size) })
	} else if size != p.now {
		p.now = size
		select {
		case <-p.size: // which nobody has begun with
		default:
		}
		p.size <- size
	}
	return p.joined
}

// waits says whether there is nothing to compose yet. There may be no page.
func (p *page) waits() bool { return p != nil && !p.joined }

// close ends the page, and waits until nothing is left of it.
func (p *page) close() {
	if p.cancel != nil {
		p.cancel(nil)
		p.done.Wait()
	}
}

// selection is what is composed of a page: nothing but its picture.
func (p *page) selection(c layout.Canvas) selection {
	whole := layout.Tile{}
	whole.Rect.Max.X, whole.Rect.Max.Y = c.W, c.H
	return selection{canvas: c, design: &design{}, tiles: []tile{{place: whole, screen: true, video: pageTrack}}}
}

var errResized = errors.New("the page gets another size")

// run films the page until the context is done, or the page has failed too often.
func (p *page) run(ctx context.Context, size pageSize) {
	for try := 1; ; try++ {
		p.s.log.Info("page opens", "try", try, "size", fmt.Sprintf("%dx%d", size.width, size.height))
		joined, err := p.film(ctx, &size)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errResized):
			try = 0
			continue
		case joined:
			try = 0
		}
		p.s.log.Warn("page is lost", "err", err)
		if try >= pageTries {
			p.s.stop(Ended{Type: "MAX_RETRIES_REACHED", Failure: fmt.Sprintf(
				"Beam couldn't connect to Meeting URL after %d retries. Check if meeting URL is correct. (The last time: %v)", pageTries, err)})
			return
		}
		select {
		case <-time.After(pagePause):
		case <-ctx.Done():
			return
		}
	}
}

// film films the page once, at a size that may become another one. It reports whether the page has brought somebody, and
// why it ended.
func (p *page) film(ctx context.Context, size *pageSize) (joined bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begun := make(chan struct{})
	var attendance sync.WaitGroup
	token := rand.Text() // of each film another one: whom the last has brought may be about to leave
	attendance.Go(func() { joined = p.attend(ctx, cancel, token, begun, size) })
	var once sync.Once
	err = p.s.m.cfg.Studio.Film(ctx, pagecast.Page{URL: p.url, Token: token, Width: size.width, Height: size.height, FPS: size.fps},
		&pageFilm{p, func() { once.Do(func() { close(begun) }) }})
	cancel(err)
	attendance.Wait()
	return joined, err
}

// attend looks who is in the room until the context is done, which it is when the page does not do what it should.
func (p *page) attend(ctx context.Context, cancel context.CancelCauseFunc, token string, begun <-chan struct{}, size *pageSize) (joined bool) {
	ticker := time.NewTicker(attendInterval)
	defer ticker.Stop()
	limit, what := time.Time{}, fmt.Errorf("the page did not join the room within %v", p.s.m.cfg.JoinWithin)
	for {
		select {
		case <-ctx.Done():
			return joined
		case <-begun:
			limit, begun = time.Now().Add(p.s.m.cfg.JoinWithin), nil
		case *size = <-p.size:
			cancel(errResized)
			return joined
		case now := <-ticker.C:
			brought, others, err := p.s.room.Brought(ctx, token)
			if err != nil { // the room ends, and with it the stream
				continue
			}
			switch {
			case brought > 0:
				joined = true
				limit, what = now.Add(pageAway), errors.New("the page has left the room")
				p.attended(others, begun == nil)
			case !limit.IsZero() && now.After(limit):
				cancel(what)
				return joined
			default:
				p.attended(others, false)
			}
		}
	}
}

// attended tells the stream who is there, and whether there is something to compose, which a worker begins with.
func (p *page) attended(others int, works bool) {
	p.s.do(func() {
		p.s.attended(others)
		if works && !p.joined && !p.s.finished {
			p.joined = true
			p.s.log.Info("page has joined the room")
			if err := p.s.launch(); err != nil {
				p.s.stop(Ended{Failure: err.Error()})
			}
		}
	})
}

// pageFilm gives a film to whichever worker is current.
type pageFilm struct {
	*page
	begun func()
}

// Picture implements [pagecast.Sink].
func (f *pageFilm) Picture(at time.Time, key bool, au []byte) {
	f.begun()
	f.push(f.picture, &wire.Frame{RTP: uint32(at.UnixMicro() * 9 / 100), Capture: at.UnixNano(), Key: key, Data: au})
}

// Sound implements [pagecast.Sink].
func (f *pageFilm) Sound(at time.Time, packet []byte) {
	f.push(f.sound, &wire.Frame{RTP: uint32(at.UnixMicro() * 48 / 1000), Capture: at.UnixNano(), Key: true, Data: packet})
}

func (f *pageFilm) push(in wire.AddInput, frame *wire.Frame) {
	w := f.s.worker.Load()
	if w == nil {
		return
	}
	frame.Input = in.ID
	w.outgoing.pushFrame(in, frame)
}
