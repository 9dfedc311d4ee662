package room

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a registry with one room, "r1", of the Starter Kit.
type house struct {
	*Registry
	t *testing.T

	mu       sync.Mutex
	record   Record
	sessions []string // what was recorded, in order
	linked   []LinkedPoll
	saved    []byte
	streamer *countingStreamer
}

func newHouse(t *testing.T, limits Limits) *house {
	t.Helper()
	media, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, streamer: &countingStreamer{}, record: Record{
		RoomID: "r1", Name: "lab", CustomerID: "c1", TemplateID: "t1", Template: policy.StarterKit(), Enabled: true,
	}}
	h.Registry = NewRegistry(Config{
		SFU: media, Records: h, Streamer: func() Streamer { return h.streamer },
		NewID: func() string { return "s1" }, NodeID: "node-1", Limits: limits, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		h.Registry.Close()
		if err := media.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) LoadRoom(_ context.Context, id string) (Record, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id != h.record.RoomID {
		return Record{}, ErrNotFound
	}
	return h.record, nil
}

func (h *house) DisableRoom(context.Context, string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.record.Enabled = false
	return nil
}

func (h *house) SessionOpened(_ context.Context, s Session) error { return h.note("opened " + s.ID) }

func (h *house) PeerJoined(_ context.Context, _ Session, p Stay) error {
	return h.note(p.PeerID + " joined as " + p.Role)
}

func (h *house) RoleChanged(_ context.Context, _ Session, p Stay, c RoleChange) error {
	return h.note(p.PeerID + " became " + p.Role + " by " + c.By)
}

func (h *house) PeerLeft(_ context.Context, _ Session, p Stay, d Departure) error {
	return h.note(p.PeerID + " left: " + d.Reason + " " + d.Message)
}

func (h *house) SessionEnded(_ context.Context, _ Session, e Ending) error {
	return h.note("ended by " + e.By + ": " + e.Reason)
}

func (h *house) SessionClosed(_ context.Context, s Session, _ time.Time) error {
	return h.note("closed " + s.ID)
}

func (h *house) SaveState(_ context.Context, _ Session, state []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saved = state
	return nil
}

func (h *house) PeerRenamed(_ context.Context, _ Session, p Stay) error {
	return h.note(p.PeerID + " is now called " + p.Name)
}

func (h *house) LinkedPolls(context.Context, string) ([]LinkedPoll, error) { return h.linked, nil }

func (h *house) PollStarted(_ context.Context, _ Session, r PollRun) error {
	return h.note("poll " + r.PollID + " started")
}

func (h *house) PollVoted(_ context.Context, r PollRun, votes []CastVote) error {
	for _, v := range votes {
		if err := h.note(fmt.Sprintf("vote for %s: question %d, option %d, by %q, %d points", r.PollID, v.Answer.Question, v.Answer.Option, v.Voter.PeerID, v.Score)); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) PollStopped(_ context.Context, r PollRun, _ time.Time) error {
	return h.note("poll " + r.PollID + " stopped")
}

func (h *house) note(what string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = append(h.sessions, what)
	return nil
}

func (h *house) noted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.sessions)
}

// countingStreamer stands for live in tests of what the room asks of it.
type countingStreamer struct {
	mu                               sync.Mutex
	starts, stops, closeds, metadata int
}

func (s *countingStreamer) StartHLS(context.Context, *Room, protocol.HLSStart, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts++
	return nil
}

func (s *countingStreamer) StopHLS(context.Context, *Room, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops++
	return nil
}

func (s *countingStreamer) Metadata(_ context.Context, _ *Room, list []protocol.TimedMetadata) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metadata += len(list)
	return nil
}

func (s *countingStreamer) RoomClosed(*Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeds++
}

// inbox is a socket that keeps what it is sent.
type inbox struct {
	mu     sync.Mutex
	frames []protocol.Frame
	closed string
}

func (b *inbox) Send(frame []byte) {
	f, err := protocol.ParseFrame(frame)
	if err != nil {
		panic(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frames = append(b.frames, f)
}

func (b *inbox) Close(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = reason
}

// methods returns the methods received so far and forgets them. The number of
// people is announced at its own pace and left out.
func (b *inbox) methods() []string {
	names := []string{}
	for _, f := range b.take() {
		names = append(names, f.Method)
	}
	return names
}

// has says whether a frame of that method was received, and leaves it there.
func (b *inbox) has(method string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.frames, func(f protocol.Frame) bool { return f.Method == method })
}

func (b *inbox) take() []protocol.Frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	frames := slices.DeleteFunc(b.frames, func(f protocol.Frame) bool { return f.Method == protocol.OnSessionInfo })
	b.frames = nil
	return frames
}

// one returns the params of the only frame of that method among those received.
func one[P any](t *testing.T, b *inbox, method string) P {
	t.Helper()
	found := all[P](t, b, method)
	if len(found) != 1 {
		t.Fatalf("%d frames of %s, want one", len(found), method)
	}
	return found[0]
}

// all returns the params of the frames of that method among those received.
func all[P any](t *testing.T, b *inbox, method string) (found []P) {
	t.Helper()
	for _, f := range b.take() {
		if f.Method == method {
			var params P
			if err := json.Unmarshal(f.Params, &params); err != nil {
				t.Fatal(err)
			}
			found = append(found, params)
		}
	}
	return found
}

func (h *house) identity(id, role string) Identity {
	return Identity{PeerID: id, UserID: "u-" + id, Role: role, TokenHash: sha256.Sum256([]byte("token of " + id))}
}

// connect opens a socket for the peer.
func (h *house) connect(id, role string) (*Peer, *inbox, error) {
	r, err := h.Open(h.t.Context(), "r1")
	if err != nil {
		return nil, nil, err
	}
	defer r.Release()
	b := &inbox{}
	p, err := r.Connect(h.t.Context(), h.identity(id, role), b)
	return p, b, err
}

// join connects a peer and joins it without media; its inbox is empty then.
func (h *house) join(id, role string) (*Peer, *inbox) {
	h.t.Helper()
	p, b, err := h.connect(id, role)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := p.Join(h.t.Context(), protocol.Join{Name: "name of " + id}); err != nil {
		h.t.Fatal(err)
	}
	b.take()
	return p, b
}

func code(err error) int {
	if err == nil {
		return 0
	}
	return AsProtocol(err).Code
}

func wantCode(t *testing.T, err error, want int) {
	t.Helper()
	if code(err) != want {
		t.Fatalf("error %v, want code %d", err, want)
	}
}

func wantMethods(t *testing.T, b *inbox, want ...string) {
	t.Helper()
	if got := b.methods(); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// eventually waits for what happens on another goroutine or after a timer.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}
