package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"amphi/compositor/wire"
	"amphi/server/egress"
	"amphi/server/policy"
	"amphi/server/protocol"
)

// Bounds of a playlist. Of its files the one that is played is kept, and nothing more.
const (
	maxTuneLength = 30 * time.Minute
	maxTuneTime   = 20 * time.Second // to fetch one
	maxRedirects  = 3
)

// Tune is one piece of a playlist: an MP3.
type Tune struct{ Name, URL string }

// PlaylistSetup is what a live stream shall play.
type PlaylistSetup struct {
	Items  []Tune
	Loop   bool
	Volume int // percent, 1 to 100
}

// States of a playlist.
const (
	PlaylistPlaying = "playing"
	PlaylistPaused  = "paused"
	PlaylistEnded   = "ended"
)

// Playlist is what is played over a live stream.
type Playlist struct {
	PlaylistSetup
	State    string
	Index    int           // of the piece that is played
	Position time.Duration // in it
	Length   time.Duration // of it
	Error    string        // why a piece was left out last; empty: none was
}

// PlaylistAction is what can be done with a playlist that is played.
type PlaylistAction string

// The actions.
const (
	PlaylistPause  PlaylistAction = "pause"
	PlaylistResume PlaylistAction = "resume"
	PlaylistSkip   PlaylistAction = "skip"
	PlaylistStop   PlaylistAction = "stop"
)

var errNoPlaylist = protocol.Errorf(protocol.CodeNotFound, "no playlist is played")

// jukebox plays a playlist. A goroutine ([jukebox.run]) fetches each piece when its turn comes and waits for its end; what
// all may see is guarded by the mutex. The worker plays what it is given; the clock is here, so that another worker can go
// on where the last was.
type jukebox struct {
	client *http.Client
	cancel context.CancelFunc
	ctx    context.Context
	poke   chan struct{} // one slot: something was changed

	mu     sync.Mutex
	list   Playlist
	data   []byte        // of the piece that is played
	played time.Duration // of it until began
	began  time.Time     // zero: paused
	skip   bool
	worker *worker // that has it
}

// StartPlaylist plays a playlist over a room's live stream, in place of the one before. The first piece must be had, or
// nothing changes.
func (m *Manager) StartPlaylist(ctx context.Context, roomID string, p PlaylistSetup) (Playlist, error) {
	b := m.broadcast(roomID)
	if b == nil {
		return Playlist{}, errNotRunning
	}
	j := &jukebox{client: tuneClient(m.cfg.Sounds), poke: make(chan struct{}, 1), list: Playlist{PlaylistSetup: p, State: PlaylistPlaying}}
	if err := j.load(ctx, 0); err != nil {
		return Playlist{}, protocol.Errorf(protocol.CodeBadRequest, "items[0]: %v", err)
	}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	s := b.stream
	if over := s.do(func() {
		if s.finished {
			return
		}
		if before := s.jukebox.Swap(j); before != nil {
			before.cancel()
		}
		s.watching.Go(j.run)
	}); over != nil {
		j.cancel()
		return Playlist{}, errNotRunning
	}
	return j.view(), nil
}

// Playlist is what is played over a room's live stream. Code 404 when there was nothing.
func (m *Manager) Playlist(roomID string) (Playlist, error) {
	j, err := m.jukebox(roomID)
	if err != nil {
		return Playlist{}, err
	}
	return j.view(), nil
}

// ControlPlaylist does something with a room's playlist; an empty action and a volume of 0 change nothing.
func (m *Manager) ControlPlaylist(roomID string, action PlaylistAction, volume int) (Playlist, error) {
	j, err := m.jukebox(roomID)
	if err != nil {
		return Playlist{}, err
	}
	j.control(action, volume)
	return j.view(), nil
}

func (m *Manager) jukebox(roomID string) (*jukebox, error) {
	b := m.broadcast(roomID)
	if b == nil {
		return nil, errNotRunning
	}
	if j := b.stream.jukebox.Load(); j != nil {
		return j, nil
	}
	return nil, errNoPlaylist
}

// tuneClient fetches from where the rule permits.
func tuneClient(rule egress.Rule) *http.Client {
	t := rule.Transport(nil)
	t.DisableKeepAlives = true // minutes lie between two pieces
	return &http.Client{Transport: t, Timeout: maxTuneTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}}
}

// load makes a piece the one that is played.
func (j *jukebox) load(ctx context.Context, index int) error {
	data, err := j.fetch(ctx, j.list.Items[index].URL)
	if err != nil {
		return err
	}
	length, ok := policy.MP3Length(data)
	switch {
	case !ok:
		return errors.New("not an MP3 of 32, 44.1 or 48 kHz")
	case length > maxTuneLength:
		return fmt.Errorf("%v long, at most are %v", length.Round(time.Second), maxTuneLength)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.data, j.played, j.began, j.worker = data, 0, time.Now(), nil
	j.list.Index, j.list.Length = index, length
	if j.list.State == PlaylistPaused {
		j.began = time.Time{}
	}
	return nil
}

func (j *jukebox) fetch(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := j.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, wire.MaxTune+1))
	if err == nil && len(data) > wire.MaxTune {
		err = fmt.Errorf("more than %d bytes", wire.MaxTune)
	}
	return data, err
}

// run plays all, from the first piece, which is there.
func (j *jukebox) run() {
	defer j.cancel()
	failed := 0 // in a row
	for j.wait() {
		j.mu.Lock()
		next := j.list.Index + 1
		over := next >= len(j.list.Items) && !j.list.Loop
		j.mu.Unlock()
		for ; !over; next++ {
			next %= len(j.list.Items)
			err := j.load(j.ctx, next)
			if err == nil {
				failed = 0
				break
			}
			failed++
			j.mu.Lock()
			j.list.Index, j.list.Error = next, fmt.Sprintf("items[%d]: %v", next, err)
			j.mu.Unlock()
			over = j.ctx.Err() != nil || failed >= len(j.list.Items) || next+1 >= len(j.list.Items) && !j.list.Loop
		}
		if over {
			j.control(PlaylistStop, 0)
		}
	}
}

// wait returns when the piece has been played, or is skipped; false at the end of all.
func (j *jukebox) wait() bool {
	for {
		j.mu.Lock()
		left, playing, skip := j.list.Length-j.position(), !j.began.IsZero(), j.skip
		ended := j.list.State == PlaylistEnded
		j.skip = false
		j.mu.Unlock()
		if ended {
			return false
		}
		if skip || playing && left <= 0 {
			return true
		}
		var over <-chan time.Time
		if playing {
			over = time.After(left)
		}
		select {
		case <-j.ctx.Done():
			j.control(PlaylistStop, 0)
		case <-j.poke:
		case <-over:
		}
	}
}

// position is where in the piece it is played. The caller holds the mutex.
func (j *jukebox) position() time.Duration {
	if j.began.IsZero() {
		return j.played
	}
	return min(j.list.Length, j.played+time.Since(j.began))
}

func (j *jukebox) control(action PlaylistAction, volume int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.list.State == PlaylistEnded {
		return
	}
	if volume > 0 {
		j.list.Volume = volume
	}
	switch {
	case action == PlaylistPause && j.list.State == PlaylistPlaying:
		j.played, j.began, j.list.State = j.position(), time.Time{}, PlaylistPaused
	case action == PlaylistResume && j.list.State == PlaylistPaused:
		j.began, j.list.State = time.Now(), PlaylistPlaying
	case action == PlaylistSkip:
		j.skip = true
	case action == PlaylistStop:
		j.played, j.began, j.data, j.list.State = j.position(), time.Time{}, nil, PlaylistEnded
	}
	if j.worker != nil && !j.skip {
		_ = j.worker.outgoing.push(j.order())
	}
	select {
	case j.poke <- struct{}{}:
	default:
	}
}

// order is what a worker is told that has the piece. The caller holds the mutex.
func (j *jukebox) order() *wire.Tune {
	if j.list.State == PlaylistEnded {
		return &wire.Tune{}
	}
	return &wire.Tune{Volume: uint8(j.list.Volume), Paused: j.list.State == PlaylistPaused}
}

// serve gives the piece, or its end, to a worker that does not have it. It is called for each word of a worker that works.
func (j *jukebox) serve(w *worker) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.worker == w {
		return
	}
	j.worker = w
	t := j.order()
	if j.list.State != PlaylistEnded {
		if t.Data = policy.MP3From(j.data, j.position()); t.Data == nil {
			return // a moment is left
		}
	}
	_ = w.outgoing.push(t)
}

func (j *jukebox) view() Playlist {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.list
	p.Items, p.Position = slices.Clone(p.Items), j.position()
	return p
}
