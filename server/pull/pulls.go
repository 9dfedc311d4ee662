// Package pull fetches streams from elsewhere onto the stages of rooms: from cameras and servers over RTSP, and from
// other services over HLS. H.264 and Opus go on as they are, AAC is made Opus (see package ingest).
//
// A source is fetched until somebody stops it, its stream ends, or it has been out of reach for a while: what breaks is
// connected to again. Sources are kept in memory: a server that is started anew fetches none.
package pull

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/egress"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
)

const (
	maxSources = 32  // at a time
	maxInRoom  = 4   // of them
	maxEnded   = 256 // that are remembered
)

// Pulls are the sources of all rooms.
type Pulls struct {
	Rooms  *room.Registry
	Store  *store.Store
	Media  func() []sfu.Address
	Worker string // the media worker's program, see [mediaworker.Path]
	Allow  egress.Rule
	Log    *slog.Logger

	mu     sync.Mutex
	closed bool
	list   []*source // the oldest first; those that have ended too
	active sync.WaitGroup

	started, failed, lost, pictures atomic.Uint64
}

// Status says how far a source is.
type Status string

// What a source goes through. One that has stopped or failed has ended.
const (
	Starting  Status = "starting"  // there has been no picture yet
	Running   Status = "running"   // it is on stage
	Returning Status = "returning" // its connection is lost, and tried again
	Stopped   Status = "stopped"
	Failed    Status = "failed"
)

// Ended says whether a status is final.
func (s Status) Ended() bool { return s == Stopped || s == Failed }

// Source is a source as others see it.
type Source struct {
	ID          string
	WorkspaceID string
	RoomID      string
	URL         string // without what may be secret
	Name        string
	Status      Status
	Problem     string // why it is not on stage, or has ended; may be empty
	CreatedAt   time.Time
	StartedAt   time.Time // the first picture; zero: there was none
	StoppedAt   time.Time // zero: it has not ended
}

// Setup says what to fetch. WorkspaceID is that of the room.
type Setup struct {
	WorkspaceID, RoomID string
	URL                 string
	Name                string
}

// Stats counts since the start, but for Sources, which are there now.
type Stats struct {
	Sources  int64
	Started  uint64
	Failed   uint64
	Lost     uint64 // connections, and attempts at one
	Pictures uint64
}

// Stats returns the counters.
func (p *Pulls) Stats() Stats {
	st := Stats{Started: p.started.Load(), Failed: p.failed.Load(), Lost: p.lost.Load(), Pictures: p.pictures.Load()}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.list {
		if !s.state.Status.Ended() {
			st.Sources++
		}
	}
	return st
}

// ParseURL reads the address of a source.
func ParseURL(text string) (*url.URL, error) {
	const most = 2048
	u, err := url.Parse(text)
	// Not why: the address may have a secret in it.
	if err != nil || len(text) > most || u.Host == "" || !slices.Contains([]string{"rtsp", "rtsps", "http", "https"}, u.Scheme) {
		return nil, protocol.Errorf(protocol.CodeBadRequest, "url must be of the form rtsp://…, rtsps://… or https://….m3u8")
	}
	return u, nil
}

// redacted is an address without what may be secret.
func redacted(u *url.URL) string { return u.Scheme + "://" + u.Host + "/…" }

// Start begins to fetch a source onto its room's stage. The error is a [*protocol.Error] when the caller may see it.
func (p *Pulls) Start(ctx context.Context, setup Setup) (Source, error) {
	u, err := ParseURL(setup.URL)
	if err != nil {
		return Source{}, err
	}
	// Of a name it is known only when it is resolved, which is asked each time anew.
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := p.Allow.Permits(a); err != nil {
			return Source{}, protocol.Errorf(protocol.CodeBadRequest, "url: %v", err)
		}
	}
	r, err := p.Rooms.Open(ctx, setup.RoomID)
	if err != nil {
		return Source{}, room.AsProtocol(err)
	}
	name := strings.TrimSpace(setup.Name)
	if name == "" {
		name = u.Hostname()
	}
	s := &source{p: p, url: u, room: r, stop: make(chan struct{}), state: Source{ID: store.NewID(), WorkspaceID: setup.WorkspaceID, RoomID: setup.RoomID,
		URL: redacted(u), Name: name, Status: Starting, CreatedAt: time.Now()}}
	s.log = p.Log.With("room", setup.RoomID, "source", s.state.ID, "from", s.state.URL)
	state, err := p.add(s)
	if err != nil {
		r.Release()
		return Source{}, err
	}
	p.started.Add(1)
	s.log.Info("source starting")
	return state, nil
}

// add keeps a source and has it run, if the limits allow one more.
func (p *Pulls) add(s *source) (Source, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, here := 0, 0
	for _, o := range p.list {
		if o.state.Status.Ended() {
			continue
		}
		all++
		if o.state.RoomID == s.state.RoomID {
			here++
		}
	}
	switch {
	case p.closed:
		return Source{}, protocol.Errorf(protocol.CodeUnavailable, "the server is shutting down")
	case here >= maxInRoom:
		return Source{}, protocol.Errorf(protocol.CodeTooMany, "the room has %d sources already, the most that one may have", here)
	case all >= maxSources:
		return Source{}, protocol.Errorf(protocol.CodeUnavailable, "this server fetches %d sources already, its limit", all)
	}
	if len(p.list)-all >= maxEnded {
		i := slices.IndexFunc(p.list, func(o *source) bool { return o.state.Status.Ended() })
		p.list = slices.Delete(p.list, i, i+1)
	}
	p.list = append(p.list, s)
	p.active.Go(s.run)
	return s.state, nil
}

// Stop ends a source and returns it as it is afterwards. One that has ended already is as good.
func (p *Pulls) Stop(id string) (Source, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.list {
		if s.state.ID == id {
			s.end(Stopped, nil)
			return s.state, true
		}
	}
	return Source{}, false
}

// Source returns one.
func (p *Pulls) Source(id string) (Source, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.list {
		if s.state.ID == id {
			return s.state, true
		}
	}
	return Source{}, false
}

// Sources returns those of a workspace, or of one of its rooms; the newest first.
func (p *Pulls) Sources(workspaceID, roomID string) (list []Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slices.Backward(p.list) {
		if s.state.WorkspaceID == workspaceID && (roomID == "" || s.state.RoomID == roomID) {
			list = append(list, s.state)
		}
	}
	return list
}

// Close ends all sources.
func (p *Pulls) Close() {
	p.mu.Lock()
	p.closed = true
	for _, s := range p.list {
		s.end(Stopped, errClosing)
	}
	p.mu.Unlock()
	p.active.Wait()
}

var errClosing = errors.New("the server is shutting down")
