package pull

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/ingest"
	"amphi/server/room"
	"amphi/server/store"
)

const (
	minBackoff = time.Second
	maxBackoff = 10 * time.Second

	// keepPlace is how long a source that sends nothing keeps its place on stage.
	keepPlace = 20 * time.Second

	// stallLimit is how long a connection may bring no picture.
	stallLimit = 15 * time.Second

	// Of a source that has never been there it is soon clear that it is not. One that was may be away for longer: a
	// camera is started anew, a service is repaired.
	neverLimit = time.Minute
	awayLimit  = 10 * time.Minute

	storeLimit = 30 * time.Second // of a write of a record
)

// source is one source from its start to its end.
type source struct {
	p    *Pulls
	url  *url.URL
	room *room.Room
	log  *slog.Logger
	stop chan struct{} // closed at the end

	state Source // guarded by the mutex of p

	// What follows belongs to the goroutine of run, and to the current session's.
	stage  *ingest.Stage // nil: it is not on stage
	leaves *atomic.Bool  // it leaves that by itself
	entry  store.Ingest
	lost   time.Time // the last picture of the session before
}

var (
	errStreamEnded = errors.New("the stream has ended")
	errKicked      = errors.New("it was taken off the stage")
	errStall       = errors.New("no picture has come for a while")
)

// end ends a source; why may be nil. The caller holds the mutex of p.
func (s *source) end(status Status, why error) {
	if s.state.Status.Ended() {
		return
	}
	s.state.Status, s.state.Problem, s.state.StoppedAt = status, "", time.Now()
	if why != nil {
		s.state.Problem = s.redact(why)
	}
	if status == Failed {
		s.p.failed.Add(1)
	}
	close(s.stop)
	s.log.Info("source ends", "status", status, "why", s.state.Problem)
}

// become tells what a source that has not ended is doing.
func (s *source) become(status Status, problem error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.state.Status.Ended() {
		return
	}
	s.state.Status, s.state.Problem = status, ""
	if problem != nil {
		s.state.Problem = s.redact(problem)
	}
	if status == Running && s.state.StartedAt.IsZero() {
		s.state.StartedAt = time.Now()
	}
}

// finish ends the source for a reason of its own.
func (s *source) finish(status Status, why error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.end(status, why)
}

// redact is the text of an error without what is secret in the address.
func (s *source) redact(err error) string {
	text := err.Error()
	secrets := []string{s.url.String(), s.url.RequestURI(), s.url.EscapedPath(), s.url.Path, s.url.RawQuery, s.url.User.String()}
	if password, ok := s.url.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, secret := range secrets {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	const most = 300
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// run fetches until the end.
func (s *source) run() {
	defer s.room.Release()
	defer s.leave()
	pause, away := minBackoff, time.Now()
	for {
		began := time.Now()
		shown, err := s.session()
		if !shown.IsZero() {
			pause, away, s.lost = minBackoff, shown, shown
		}
		limit := awayLimit
		if s.entry.ID == "" {
			limit = neverLimit
		}
		switch {
		case s.ended():
			return
		case errors.Is(err, errStreamEnded):
			s.finish(Stopped, err)
			return
		case ingest.Unfit(err), time.Since(away) > limit:
			s.finish(Failed, err)
			return
		}
		s.p.lost.Add(1)
		status := Returning
		if s.entry.ID == "" {
			status = Starting
		}
		s.become(status, err)
		wait := pause + rand.N(pause/4)
		s.log.Warn("source lost", "err", s.redact(err), "after", time.Since(began).Round(time.Millisecond), "again_in", wait.Round(time.Millisecond))
		if !s.pause(wait) {
			return
		}
		pause = min(2*pause, maxBackoff)
	}
}

func (s *source) ended() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// pause waits, and has the source leave the stage when it has kept its place for long enough. It reports whether
// the source goes on.
func (s *source) pause(wait time.Duration) bool {
	next := time.NewTimer(wait)
	defer next.Stop()
	var forget <-chan time.Time
	if s.stage != nil {
		t := time.NewTimer(time.Until(s.lost.Add(keepPlace)))
		defer t.Stop()
		forget = t.C
	}
	for {
		select {
		case <-next.C:
			return true
		case <-forget:
			s.leave()
			forget = nil
		case <-s.stop:
			return false
		}
	}
}

// leave takes the source off the stage, if it is there.
func (s *source) leave() {
	if s.stage == nil {
		return
	}
	s.leaves.Store(true)
	s.stage.Leave()
	s.stage = nil
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	now := time.Now()
	reason := store.IngestExpired
	if s.ended() {
		reason = store.IngestClosed
	}
	if s.lost.IsZero() {
		s.lost = now
	}
	if err := s.p.Store.IngestEnded(ctx, s.entry, reason, s.lost, now); err != nil {
		s.log.Error("end could not be recorded", "err", err)
	}
}

// session is one connection. shown is when the last picture came, zero if none did.
func (s *source) session() (shown time.Time, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	v := &session{s: s, cancel: cancel}
	if s.stage != nil {
		s.stage.Restart()
	}
	watch := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		last := time.Now()
		for {
			select {
			case <-s.stop:
				cancel(nil)
				return
			case <-watch:
				return
			case now := <-look.C:
				if at := v.lastPicture(); at.After(last) {
					last = at
				}
				if now.Sub(last) > stallLimit {
					cancel(errStall)
					return
				}
			}
		}
	})
	fetch := fetchHLS
	if strings.HasPrefix(s.url.Scheme, "rtsp") {
		fetch = fetchRTSP
	}
	err = fetch(ctx, s.url, s.p.Allow, v)
	close(watch)
	watching.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	return v.shown, err
}

// session takes what a connection brings. Its methods may be called from any goroutine.
type session struct {
	s      *source
	cancel context.CancelCauseFunc // with why the connection is of no use

	mu       sync.Mutex
	over     bool
	pictures ingest.H264
	shown    time.Time
}

func (v *session) lastPicture() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.shown
}

// parameters tells the parameter sets that come beside the pictures.
func (v *session) parameters(sps, pps []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pictures.Parameters(sps, pps)
}

// video takes the NAL units of a picture.
func (v *session) video(at time.Duration, nalus [][]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	for _, n := range nalus {
		if len(n) == 0 {
			return
		}
	}
	au, key, err := v.pictures.Picture(nalus)
	switch {
	case errors.Is(err, ingest.ErrParameters) && v.shown.IsZero(): // it began in the middle
		return
	case err == nil && (au == nil || v.shown.IsZero() && !key):
		return
	case err == nil && v.s.stage == nil:
		err = v.s.enter()
	}
	if err == nil {
		if v.shown.IsZero() {
			v.s.become(Running, nil)
		}
		v.shown = time.Now()
		v.s.p.pictures.Add(1)
		err = v.s.stage.Video(at, au)
	}
	if err != nil {
		v.over = true
		v.cancel(err)
	}
}

// aac takes an access unit of what an AudioSpecificConfig describes.
func (v *session) aac(at time.Duration, config, unit []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.over && !v.shown.IsZero() && len(unit) > 0 {
		v.s.stage.AAC(at, config, unit)
	}
}

// opus takes a packet.
func (v *session) opus(at time.Duration, packet []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || v.shown.IsZero() || len(packet) == 0 {
		return
	}
	if err := v.s.stage.Opus(at, packet); err != nil {
		v.over = true
		v.cancel(err)
	}
}

// enter goes on stage.
func (s *source) enter() error {
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	leaves := &atomic.Bool{}
	closed := func() {
		if !leaves.Load() {
			go s.finish(Stopped, errKicked)
		}
	}
	stage, err := ingest.Enter(ctx, ingest.Config{Room: s.room, Name: s.state.Name, UserID: "source-" + s.state.ID, Agent: strings.ToUpper(s.url.Scheme),
		Media: s.p.Media, Worker: s.p.Worker, Log: s.log, Closed: closed})
	if err != nil {
		return err
	}
	s.stage, s.leaves = stage, leaves
	s.entry = store.Ingest{ID: store.NewID(), RoomID: s.room.ID(), StreamID: s.stage.StreamID, StartedAt: time.Now()}
	if err := s.p.Store.IngestStarted(ctx, s.entry); err != nil {
		s.log.Error("start could not be recorded", "err", err)
	}
	return nil
}
