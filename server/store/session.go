package store

import (
	"context"
	"time"
)

// Session is one run of a room, from its first peer to its last.
type Session struct {
	ID          string
	WorkspaceID string
	RoomID      string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	EndedAt     time.Time // zero while it is open
}

// Peer is somebody's stay in a session.
type Peer struct {
	ID        string // chosen by the client
	SessionID string
	Name      string
	Role      string
	UserID    string
	JoinedAt  time.Time
	LeftAt    time.Time // zero while connected
}

// Reasons of leaving, as webhooks name them.
const (
	LeftByRequest = "client request"
	LeftKicked    = "peer kicked"
	LeftSocket    = "websocket closed"
	LeftICE       = "ice connection state closed"
	LeftRemoved   = "server removed peer"
)

const sessionColumns = `id, workspace_id, room_id, created_at, updated_at, ended_at`

func scanSession(row scanner) (s Session, err error) {
	err = row.Scan(&s.ID, &s.WorkspaceID, &s.RoomID, (*timestamp)(&s.CreatedAt), (*timestamp)(&s.UpdatedAt), (*timestamp)(&s.EndedAt))
	return s, err
}

// Session returns the session of that id.
func (s *Store) Session(ctx context.Context, id string) (Session, error) {
	return s.query(ctx).session(id)
}

func (q querier) session(id string) (Session, error) {
	v, err := scanSession(q.row(`SELECT `+sessionColumns+` FROM sessions WHERE id = ?`, id))
	return v, found(err, "session", id)
}

// Peers returns everybody who has been in the session, in the order of joining.
func (s *Store) Peers(ctx context.Context, sessionID string) ([]Peer, error) {
	return s.query(ctx).peers(sessionID)
}

func (q querier) peers(sessionID string) ([]Peer, error) {
	rows, err := q.rows(`SELECT `+peerColumns+` FROM session_peers WHERE session_id = ? ORDER BY joined_at, id`, sessionID)
	return collect(rows, err, scanPeer)
}

const peerColumns = `id, session_id, name, role, user_id, joined_at, left_at`

func scanPeer(row scanner) (p Peer, err error) {
	err = row.Scan(&p.ID, &p.SessionID, &p.Name, &p.Role, &p.UserID, (*timestamp)(&p.JoinedAt), (*timestamp)(&p.LeftAt))
	return p, err
}

func (q querier) peer(sessionID, id string) (Peer, error) {
	p, err := scanPeer(q.row(`SELECT `+peerColumns+` FROM session_peers WHERE session_id = ? AND id = ?`, sessionID, id))
	return p, found(err, "peer", id)
}

// OpenSession records that a session began. The caller chooses its id (NewID) and start. Event session.open.success.
func (s *Store) OpenSession(ctx context.Context, id, roomID string, at time.Time) (Session, error) {
	var v Session
	err := s.update(ctx, func(t *tx) error {
		room, err := t.room(roomID)
		if err != nil {
			return err
		}
		at := trunc(at)
		v = Session{ID: id, WorkspaceID: room.WorkspaceID, RoomID: roomID, CreatedAt: at, UpdatedAt: at}
		_, err = t.exec(`INSERT INTO sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
			v.ID, v.WorkspaceID, v.RoomID, millis(v.CreatedAt), millis(v.UpdatedAt), 0)
		if err != nil {
			return t.conflict(err, "session", id)
		}
		return t.event(room, at, "session.open.success", sessionEvent{roomRef: refTo(room, v), SessionStartedAt: at})
	})
	return v, err
}

// CloseSession records that a session ended, and with it the stay of everybody in it. A closed one stays as it is.
// Event session.close.success, and peer.leave.success for those who had not left.
func (s *Store) CloseSession(ctx context.Context, id string, at time.Time) error {
	return s.update(ctx, func(t *tx) error { return t.closeSession(id, at) })
}

func (t *tx) closeSession(id string, at time.Time) error {
	v, room, err := t.sessionAndRoom(id)
	if err != nil || !v.EndedAt.IsZero() {
		return err
	}
	at = trunc(at)
	peers, err := t.peers(id)
	if err != nil {
		return err
	}
	for _, p := range peers {
		if p.LeftAt.IsZero() {
			if err := t.peerLeft(v, room, p, Leave{At: at, Reason: LeftRemoved}); err != nil {
				return err
			}
		}
	}
	if _, err := t.exec(`UPDATE sessions SET ended_at = ?, updated_at = ? WHERE id = ?`, millis(at), millis(at), id); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM live_rooms WHERE session_id = ?`, id); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE poll_sessions SET stopped_at = ? WHERE session_id = ? AND stopped_at = 0`, millis(at), id); err != nil {
		return err
	}
	return t.event(room, at, "session.close.success", closeEvent{sessionEvent: sessionEvent{refTo(room, v), v.CreatedAt},
		SessionStoppedAt: at, SessionDuration: seconds(v.CreatedAt, at)})
}

// PeerJoined records that somebody joined. data is the peer's metadata. A peer that left and returns to the session
// under its old id goes on where it was. Event peer.join.success.
func (s *Store) PeerJoined(ctx context.Context, p Peer, data string) error {
	return s.update(ctx, func(t *tx) error {
		v, room, err := t.sessionAndRoom(p.SessionID)
		if err != nil {
			return err
		}
		p.JoinedAt = trunc(p.JoinedAt)
		_, err = t.exec(`INSERT INTO session_peers (`+peerColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0)
			ON CONFLICT (session_id, id) DO UPDATE SET name = excluded.name, role = excluded.role, left_at = 0`,
			p.ID, p.SessionID, p.Name, p.Role, p.UserID, millis(p.JoinedAt))
		if err != nil {
			return err
		}
		return t.event(room, p.JoinedAt, "peer.join.success", newPeerEvent(room, v, p, data))
	})
}

// Leave says when, why and with which words somebody left. Data is the metadata that the peer had.
type Leave struct {
	At      time.Time
	Reason  string
	Message string // of whoever removed the peer
	Data    string
}

// PeerLeft records that somebody left. Who has left already, has. Event peer.leave.success.
func (s *Store) PeerLeft(ctx context.Context, sessionID, peerID string, l Leave) error {
	return s.update(ctx, func(t *tx) error {
		v, room, err := t.sessionAndRoom(sessionID)
		if err != nil {
			return err
		}
		p, err := t.peer(sessionID, peerID)
		if err != nil || !p.LeftAt.IsZero() {
			return err
		}
		return t.peerLeft(v, room, p, l)
	})
}

func (t *tx) peerLeft(v Session, room Room, p Peer, l Leave) error {
	at := trunc(l.At)
	if _, err := t.exec(`UPDATE session_peers SET left_at = ? WHERE session_id = ? AND id = ?`, millis(at), p.SessionID, p.ID); err != nil {
		return err
	}
	return t.event(room, at, "peer.leave.success", leaveEvent{peerEvent: newPeerEvent(room, v, p, l.Data),
		LeftAt: at, Duration: seconds(p.JoinedAt, at), Reason: l.Reason, Message: l.Message})
}

// PeerRenamed records a peer's new name. There is no event of it.
func (s *Store) PeerRenamed(ctx context.Context, sessionID, peerID, name string) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE session_peers SET name = ? WHERE session_id = ? AND id = ?`, name, sessionID, peerID)
		if err == nil && n == 0 {
			err = found(errNoRows, "peer", peerID)
		}
		return err
	})
}

// RoleChange says what happened to a peer's role. RequestedBy is a peer id, empty when the API did it.
type RoleChange struct {
	At          time.Time
	Role        string
	RequestedBy string
	Data        string
}

// RoleChanged records a peer's new role. Event role.change.success.
func (s *Store) RoleChanged(ctx context.Context, sessionID, peerID string, c RoleChange) error {
	return s.update(ctx, func(t *tx) error {
		v, room, err := t.sessionAndRoom(sessionID)
		if err != nil {
			return err
		}
		p, err := t.peer(sessionID, peerID)
		if err != nil {
			return err
		}
		previous := p.Role
		p.Role = c.Role
		if _, err := t.exec(`UPDATE session_peers SET role = ? WHERE session_id = ? AND id = ?`, c.Role, sessionID, peerID); err != nil {
			return err
		}
		at := trunc(c.At)
		return t.event(room, at, "role.change.success", roleEvent{peerEvent: newPeerEvent(room, v, p, c.Data),
			PreviousRole: previous, RoleChangedAt: at, RequestedBy: c.RequestedBy})
	})
}

// RoomEnd says who ended a session, and how. PeerID is empty when the API did it.
type RoomEnd struct {
	At     time.Time
	PeerID string
	Lock   bool // the room was disabled as well, which is not done here
	Reason string
}

// RoomEnded records that a session was ended on purpose; CloseSession follows. Event room.end.success. It leaves the
// room's record alone: it is written behind what happens, and the room may have been enabled again meanwhile.
func (s *Store) RoomEnded(ctx context.Context, sessionID string, e RoomEnd) error {
	return s.update(ctx, func(t *tx) error {
		v, room, err := t.sessionAndRoom(sessionID)
		if err != nil {
			return err
		}
		d, err := t.newEndEvent(room, v, e)
		if err != nil {
			return err
		}
		return t.event(room, trunc(e.At), "room.end.success", d)
	})
}

// sessionAndRoom returns a session as it is once its room is ours, see tx.room.
func (t *tx) sessionAndRoom(id string) (Session, Room, error) {
	v, err := t.session(id)
	if err != nil {
		return v, Room{}, err
	}
	room, err := t.room(v.RoomID)
	if err != nil {
		return v, room, err
	}
	v, err = t.session(id)
	return v, room, err
}

// Recover ends what the server that ran before left open: sessions with their peers, live streams and other jobs. If that
// one was alive not longer than resume ago, sessions whose state was saved stay open, see LiveRooms, and so do what is
// made of them, see InterruptedLiveStreams and InterruptedJobs. It is called once when a server starts, before anything
// runs on the store, and returns how many sessions and jobs it ended.
func (s *Store) Recover(ctx context.Context, at time.Time, resume time.Duration) (sessions, jobs int, err error) {
	err = s.update(ctx, func(t *tx) error {
		beat, err := t.lastBeat()
		if err != nil {
			return err
		}
		kept := `(SELECT id FROM sessions WHERE 1 = 0)`
		if at.Sub(beat) <= resume {
			kept = `(SELECT session_id FROM live_rooms)`
		}
		over := ` WHERE status = 'stopping' OR status IN ('starting', 'running') AND session_id NOT IN ` + kept + ` ORDER BY id`
		open, err := t.strings(`SELECT id FROM live_streams` + over)
		if err != nil {
			return err
		}
		for _, id := range open {
			if err := t.failLiveStream(id, Failure{At: at, Type: "INTERNAL_ERROR", Message: "Internal error"}); err != nil {
				return err
			}
		}
		jobs = len(open)
		if open, err = t.strings(`SELECT id FROM jobs` + over); err != nil {
			return err
		}
		for _, id := range open {
			if _, err := t.failJob(id, Failure{At: at, Type: "INTERNAL_ERROR", Message: "Internal error"}); err != nil {
				return err
			}
		}
		jobs += len(open)
		if open, err = t.strings(`SELECT id FROM sessions WHERE ended_at = 0 AND id NOT IN ` + kept + ` ORDER BY id`); err != nil {
			return err
		}
		for _, id := range open {
			if err := t.closeSession(id, at); err != nil {
				return err
			}
		}
		sessions = len(open)
		return nil
	})
	return sessions, jobs, err
}

// strings returns the only column of a query.
func (q querier) strings(query string, args ...any) ([]string, error) {
	rows, err := q.rows(query, args...)
	return collect(rows, err, func(row scanner) (v string, err error) { err = row.Scan(&v); return v, err })
}
