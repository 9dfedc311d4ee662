package room

import (
	"context"
	"log/slog"
	"time"
)

// Session is one run of a room, from its first peer to its last.
type Session struct {
	ID         string
	RoomID     string
	CustomerID string
	Started    time.Time
}

// Stay is what is recorded of a peer in a session.
type Stay struct {
	PeerID string
	UserID string
	Name   string
	Role   string
	Data   string // metadata
	Joined time.Time
	Agent  string // see Identity
}

// Departure says when and why a peer left.
type Departure struct {
	At      time.Time
	Reason  string // one of the Left… constants
	Message string // of whoever removed the peer
}

// Reasons of a Departure, in the words of the webhooks.
const (
	LeftByRequest = "client request"
	LeftKicked    = "peer kicked"
	LeftSocket    = "websocket closed"
	LeftRemoved   = "server removed peer"
)

// RoleChange is what is recorded of a role change. By is a peer id, empty for
// the API.
type RoleChange struct {
	At time.Time
	By string
}

// Ending is what is recorded when a session is ended on purpose.
type Ending struct {
	At     time.Time
	By     string // peer id, empty for the API
	Lock   bool
	Reason string
}

// Records is where rooms come from and what they leave behind. Its methods may
// block; none is called on a room's goroutine while the room serves anybody.
// What happens in a session is written in the order in which it happened.
type Records interface {
	// LoadRoom returns ErrNotFound for an unknown room.
	LoadRoom(ctx context.Context, roomID string) (Record, error)
	// DisableRoom stops new joins, for end-room with lock.
	DisableRoom(ctx context.Context, roomID string) error

	SessionOpened(ctx context.Context, s Session) error
	PeerJoined(ctx context.Context, s Session, p Stay) error
	RoleChanged(ctx context.Context, s Session, p Stay, c RoleChange) error
	PeerRenamed(ctx context.Context, s Session, p Stay) error
	PeerLeft(ctx context.Context, s Session, p Stay, d Departure) error
	SessionEnded(ctx context.Context, s Session, e Ending) error
	SessionClosed(ctx context.Context, s Session, at time.Time) error

	// SaveState keeps the state of a session until it is closed, in place of the one
	// before.
	SaveState(ctx context.Context, s Session, state []byte) error

	// LinkedPolls returns the polls that the room's sessions begin with.
	LinkedPolls(ctx context.Context, roomID string) ([]LinkedPoll, error)
	PollStarted(ctx context.Context, s Session, r PollRun) error
	// PollVoted gets votes of one run, in the order in which they were given.
	PollVoted(ctx context.Context, r PollRun, votes []CastVote) error
	PollStopped(ctx context.Context, r PollRun, at time.Time) error
}

const (
	journalEntries  = 1024             // waiting to be written; a room whose records stall waits for them
	journalDeadline = 10 * time.Second // of one entry
)

// journal writes a session's records, in order, off the room's goroutine.
type journal struct {
	log     *slog.Logger
	entries chan entry
	written chan struct{} // closed when all is written
}

type entry struct {
	what  string
	write func(context.Context) error
}

func newJournal(log *slog.Logger) *journal {
	return &journal{log: log, entries: make(chan entry, journalEntries), written: make(chan struct{})}
}

func (j *journal) run() {
	defer close(j.written)
	for e := range j.entries {
		j.write(e)
	}
}

// write writes one entry, at once.
func (j *journal) write(e entry) {
	ctx, cancel := context.WithTimeout(context.Background(), journalDeadline)
	defer cancel()
	if err := e.write(ctx); err != nil {
		j.log.Error("could not write a record", "what", e.what, "err", err)
	}
}

// add queues an entry.
func (j *journal) add(what string, write func(context.Context) error) {
	j.entries <- entry{what, write}
}

// close waits until all entries are written. Nothing may be added afterwards.
func (j *journal) close() {
	close(j.entries)
	<-j.written
}
