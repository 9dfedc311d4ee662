package store

import (
	"context"
	"fmt"
	"time"
)

// Status is where a live stream is in its life:
//
//	starting ──> running ──> stopping ──> post_processing ──> completed
//	    └───────────┴───────────┴────────────────┴──────────> failed
//
// Those of which nothing is recorded pass over post_processing.
type Status string

// The states of a live stream.
const (
	StatusStarting       Status = "starting"
	StatusRunning        Status = "running"
	StatusStopping       Status = "stopping"
	StatusPostProcessing Status = "post_processing"
	StatusCompleted      Status = "completed"
	StatusFailed         Status = "failed"
)

// Active says whether the stream occupies its room.
func (s Status) Active() bool {
	return s == StatusStarting || s == StatusRunning || s == StatusStopping
}

// LiveStream is the composed stream of a room, from start to end.
type LiveStream struct {
	ID          string
	WorkspaceID string
	RoomID      string
	SessionID   string
	Status      Status
	Destination string // name of the template's hlsDestination
	MeetingURL  string
	PlaybackURL string
	Width       int // of the largest rendition, pixels
	Height      int
	Recording   StreamRecording
	StartedBy   string // peer id, empty when the API did it
	StoppedBy   string
	Reason      string // why it stopped or failed
	CreatedAt   time.Time
	UpdatedAt   time.Time
	StartedAt   time.Time
	StoppedAt   time.Time
}

// StreamRecording says what of a live stream is to be kept.
type StreamRecording struct {
	HLSVOD             bool `json:"hls_vod"`
	SingleFilePerLayer bool `json:"single_file_per_layer"`
}

// Reasons of stopping, as webhooks name them.
const (
	StoppedByRequest   = "client request"
	StoppedMaxDuration = "max duration reached"
	StoppedRoomEnded   = "room ended"
	StoppedLastPeer    = "last peer left"
)

const streamColumns = `id, workspace_id, room_id, session_id, status, destination, meeting_url, playback_url, width, height,
	recording_json, started_by, stopped_by, reason, created_at, updated_at, started_at, stopped_at`

func scanStream(row scanner) (l LiveStream, err error) {
	err = row.Scan(&l.ID, &l.WorkspaceID, &l.RoomID, &l.SessionID, &l.Status, &l.Destination, &l.MeetingURL, &l.PlaybackURL, &l.Width, &l.Height,
		jsonText{&l.Recording}, &l.StartedBy, &l.StoppedBy, &l.Reason, (*timestamp)(&l.CreatedAt), (*timestamp)(&l.UpdatedAt),
		(*timestamp)(&l.StartedAt), (*timestamp)(&l.StoppedAt))
	return l, err
}

// LiveStream returns the workspace's live stream of that id.
func (s *Store) LiveStream(ctx context.Context, workspaceID, id string) (LiveStream, error) {
	l, err := s.query(ctx).liveStream(id)
	if err == nil && l.WorkspaceID != workspaceID {
		return LiveStream{}, found(errNoRows, "live stream", id)
	}
	return l, err
}

func (q querier) liveStream(id string) (LiveStream, error) {
	l, err := scanStream(q.row(`SELECT `+streamColumns+` FROM live_streams WHERE id = ?`, id))
	return l, found(err, "live stream", id)
}

// ActiveLiveStream returns the stream that occupies the room.
func (s *Store) ActiveLiveStream(ctx context.Context, roomID string) (LiveStream, error) {
	l, err := scanStream(s.query(ctx).row(`SELECT `+streamColumns+` FROM live_streams
		WHERE room_id = ? AND status IN ('starting', 'running', 'stopping')`, roomID))
	return l, found(err, "live stream of room", roomID)
}

// InterruptedLiveStreams returns the streams that occupy their rooms, of all workspaces: when a server starts, those that
// the one before left.
func (s *Store) InterruptedLiveStreams(ctx context.Context) ([]LiveStream, error) {
	rows, err := s.query(ctx).rows(`SELECT ` + streamColumns + ` FROM live_streams WHERE status IN ('starting', 'running', 'stopping') ORDER BY id`)
	return collect(rows, err, scanStream)
}

// StreamFilter says which live streams are listed. Zero fields do not filter.
type StreamFilter struct {
	RoomID    string
	SessionID string
	Status    Status
}

// LiveStreams lists the workspace's live streams, newest first.
func (s *Store) LiveStreams(ctx context.Context, workspaceID string, f StreamFilter, p Page) ([]LiveStream, error) {
	w := where("workspace_id = ?", workspaceID)
	w.is("room_id", f.RoomID)
	w.is("session_id", f.SessionID)
	w.is("status", string(f.Status))
	w.page("id", p)
	rows, err := s.query(ctx).rows(`SELECT `+streamColumns+` FROM live_streams`+w.text, w.args...)
	return collect(rows, err, scanStream)
}

// StartLiveStream records a stream that was accepted: status starting. Room and session must be set; id, workspace and
// times are made here unless an id is given. ErrConflict when one occupies the room.
func (s *Store) StartLiveStream(ctx context.Context, l LiveStream) (LiveStream, error) {
	err := s.update(ctx, func(t *tx) error {
		room, err := t.room(l.RoomID)
		if err != nil {
			return err
		}
		if l.ID == "" {
			l.ID = NewID()
		}
		now := trunc(time.Now())
		l.WorkspaceID, l.Status, l.CreatedAt, l.UpdatedAt = room.WorkspaceID, StatusStarting, now, now
		_, err = t.exec(`INSERT INTO live_streams (`+streamColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, ?, 0, 0)`,
			l.ID, l.WorkspaceID, l.RoomID, l.SessionID, string(l.Status), l.Destination, l.MeetingURL, l.PlaybackURL, l.Width, l.Height,
			jsonOf(l.Recording), l.StartedBy, millis(now), millis(now))
		return t.conflict(err, "live stream of room", l.RoomID)
	})
	return l, err
}

// LiveStreamRunning records that the playlist is there. Event hls.started.success.
func (s *Store) LiveStreamRunning(ctx context.Context, id string, at time.Time) error {
	return s.moveLiveStream(ctx, id, at, func(t *tx, l *LiveStream) error {
		if l.Status != StatusStarting {
			return wrongStatus(l, StatusRunning)
		}
		l.Status, l.StartedAt = StatusRunning, l.UpdatedAt
		return nil
	}, "hls.started.success", func(l LiveStream, h hlsEvent) any {
		h.StateName, h.StateTimestamp = "HLSStarted", &l.StartedAt
		return hlsStarted{hlsEvent: h, URL: l.PlaybackURL, StartDelay: seconds(l.CreatedAt, l.StartedAt), StartedAt: l.StartedAt}
	})
}

// LiveStreamStopping records that a stop was accepted, and by whom: a peer id, or "" for the API. A stream that is
// stopping already stays as it is.
func (s *Store) LiveStreamStopping(ctx context.Context, id, stoppedBy string, at time.Time) error {
	return s.moveLiveStream(ctx, id, at, func(t *tx, l *LiveStream) error {
		switch l.Status {
		case StatusStarting, StatusRunning:
			l.Status, l.StoppedBy = StatusStopping, stoppedBy
			return nil
		case StatusStopping:
			return nil
		default:
			return wrongStatus(l, StatusStopping)
		}
	}, "", nil)
}

// LiveStreamStopped records the end of a stream that ran: status completed. Event hls.stopped.success.
func (s *Store) LiveStreamStopped(ctx context.Context, id, reason string, at time.Time) error {
	return s.endLiveStream(ctx, id, reason, StatusCompleted, at)
}

// LiveStreamRecorded does the same for one of which files are to come, see RecordingDone: status post_processing.
func (s *Store) LiveStreamRecorded(ctx context.Context, id, reason string, at time.Time) error {
	return s.endLiveStream(ctx, id, reason, StatusPostProcessing, at)
}

func (s *Store) endLiveStream(ctx context.Context, id, reason string, to Status, at time.Time) error {
	return s.moveLiveStream(ctx, id, at, func(t *tx, l *LiveStream) error {
		if !l.Status.Active() {
			return wrongStatus(l, to)
		}
		l.Status, l.Reason, l.StoppedAt = to, reason, l.UpdatedAt
		return nil
	}, "hls.stopped.success", func(l LiveStream, h hlsEvent) any {
		h.StateName, h.StateTimestamp = "HLSStopped", &l.StoppedAt
		return hlsStopped{hlsEvent: h, URL: l.PlaybackURL, Duration: l.duration(), StartedAt: l.begin(), StoppedAt: l.StoppedAt, Reason: reason}
	})
}

// Failure says why a stream failed; the types are those of the API (INTERNAL_ERROR, BEAM_STOPPED, …).
type Failure struct {
	At      time.Time
	Type    string
	Message string
}

// LiveStreamFailed records that a stream failed. Event hls.failure.
func (s *Store) LiveStreamFailed(ctx context.Context, id string, f Failure) error {
	return s.update(ctx, func(t *tx) error { return t.failLiveStream(id, f) })
}

func (t *tx) failLiveStream(id string, f Failure) error {
	return t.moveLiveStream(id, f.At, func(t *tx, l *LiveStream) error {
		if !l.Status.Active() {
			return wrongStatus(l, StatusFailed)
		}
		l.Status, l.Reason, l.StoppedAt = StatusFailed, "failure: "+f.Type, l.UpdatedAt
		return nil
	}, "hls.failure", func(l LiveStream, h hlsEvent) any {
		h.StateName, h.StateTimestamp = "HLSFailed", &l.StoppedAt
		return hlsFailed{hlsEvent: h, Duration: l.duration(), ErrorType: f.Type, ErrorMessage: f.Message, ErrorCode: 1}
	})
}

func (s *Store) moveLiveStream(ctx context.Context, id string, at time.Time, move func(*tx, *LiveStream) error,
	event string, data func(LiveStream, hlsEvent) any) error {
	return s.update(ctx, func(t *tx) error { return t.moveLiveStream(id, at, move, event, data) })
}

// moveLiveStream applies move to the record, whose UpdatedAt is set to at before, and writes the event of that type.
func (t *tx) moveLiveStream(id string, at time.Time, move func(*tx, *LiveStream) error, event string, data func(LiveStream, hlsEvent) any) error {
	l, err := t.liveStream(id)
	if err != nil {
		return err
	}
	v, room, err := t.sessionAndRoom(l.SessionID)
	if err != nil {
		return err
	}
	if l, err = t.liveStream(id); err != nil { // as it is now that the room is ours
		return err
	}
	l.UpdatedAt = trunc(at)
	if err := move(t, &l); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE live_streams SET status = ?, stopped_by = ?, reason = ?, updated_at = ?, started_at = ?, stopped_at = ? WHERE id = ?`,
		string(l.Status), l.StoppedBy, l.Reason, millis(l.UpdatedAt), millis(l.StartedAt), millis(l.StoppedAt), id)
	if err != nil || event == "" {
		return err
	}
	return t.event(room, l.UpdatedAt, event, data(l, newHLSEvent(l, room, v)))
}

func wrongStatus(l *LiveStream, to Status) error {
	return fmt.Errorf("live stream %s is %s, not to become %s: %w", l.ID, l.Status, to, ErrConflict)
}

// begin is when the stream started, or was asked for when it never did.
func (l LiveStream) begin() time.Time {
	if l.StartedAt.IsZero() {
		return l.CreatedAt
	}
	return l.StartedAt
}

// duration is how long viewers had it, in seconds.
func (l LiveStream) duration() int {
	if l.StartedAt.IsZero() {
		return 0
	}
	return seconds(l.StartedAt, l.StoppedAt)
}
