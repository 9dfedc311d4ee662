package store

import (
	"context"
	"fmt"
	"time"
)

// JobKind says what a room is composed for.
type JobKind string

// The kinds of jobs. Live streams have a record of their own, see LiveStream.
const (
	Recording      JobKind = "recording"
	ExternalStream JobKind = "external_stream" // pushed to other services over RTMP
)

// Job is a room composed for a recording or a push, from start to end. Its states are those of a live stream.
type Job struct {
	ID          string
	Kind        JobKind
	WorkspaceID string
	RoomID      string
	SessionID   string // empty when none was open at the start
	Status      Status
	Paused      bool // a recording that runs, but leaves out what happens
	Setup       JobSetup
	StartedBy   string // peer id, empty when the API did it
	StoppedBy   string
	Reason      string // why it stopped or failed
	CreatedAt   time.Time
	UpdatedAt   time.Time
	StartedAt   time.Time
	StoppedAt   time.Time
}

// JobSetup is what a job was asked to do.
type JobSetup struct {
	MeetingURL  string   `json:"meeting_url"`
	Destination string   `json:"destination"` // its name in the template
	Width       int      `json:"width"`       // pixels
	Height      int      `json:"height"`
	RTMPURLs    []string `json:"rtmp_urls,omitempty"` // of a push
	Recording   bool     `json:"recording,omitempty"` // a push that is recorded too
	AudioOnly   bool     `json:"audio_only,omitempty"`
}

const jobColumns = `id, kind, workspace_id, room_id, session_id, status, paused, setup_json, started_by, stopped_by, reason,
	created_at, updated_at, started_at, stopped_at`

func scanJob(row scanner) (j Job, err error) {
	err = row.Scan(&j.ID, &j.Kind, &j.WorkspaceID, &j.RoomID, &j.SessionID, &j.Status, &j.Paused, jsonText{&j.Setup}, &j.StartedBy, &j.StoppedBy,
		&j.Reason, (*timestamp)(&j.CreatedAt), (*timestamp)(&j.UpdatedAt), (*timestamp)(&j.StartedAt), (*timestamp)(&j.StoppedAt))
	return j, err
}

// Job returns the workspace's job of that kind and id.
func (s *Store) Job(ctx context.Context, workspaceID string, kind JobKind, id string) (Job, error) {
	j, err := s.query(ctx).job(id)
	if err == nil && (j.WorkspaceID != workspaceID || j.Kind != kind) {
		return Job{}, found(errNoRows, "job", id)
	}
	return j, err
}

func (q querier) job(id string) (Job, error) {
	j, err := scanJob(q.row(`SELECT `+jobColumns+` FROM jobs WHERE id = ?`, id))
	return j, found(err, "job", id)
}

// ActiveJob returns the job of that kind that occupies the room.
func (s *Store) ActiveJob(ctx context.Context, roomID string, kind JobKind) (Job, error) {
	j, err := scanJob(s.query(ctx).row(`SELECT `+jobColumns+` FROM jobs
		WHERE room_id = ? AND kind = ? AND status IN ('starting', 'running', 'stopping')`, roomID, string(kind)))
	return j, found(err, string(kind)+" of room", roomID)
}

// InterruptedJobs returns the jobs of that kind that occupy their rooms, of all workspaces: when a server starts, those
// that the one before left.
func (s *Store) InterruptedJobs(ctx context.Context, kind JobKind) ([]Job, error) {
	rows, err := s.query(ctx).rows(`SELECT `+jobColumns+` FROM jobs
		WHERE kind = ? AND status IN ('starting', 'running', 'stopping') ORDER BY id`, string(kind))
	return collect(rows, err, scanJob)
}

// Jobs lists the workspace's jobs of a kind, newest first.
func (s *Store) Jobs(ctx context.Context, workspaceID string, kind JobKind, f StreamFilter, p Page) ([]Job, error) {
	w := where("workspace_id = ?", workspaceID)
	w.and("kind = ?", string(kind))
	w.is("room_id", f.RoomID)
	w.is("session_id", f.SessionID)
	w.is("status", string(f.Status))
	w.page("id", p)
	rows, err := s.query(ctx).rows(`SELECT `+jobColumns+` FROM jobs`+w.text, w.args...)
	return collect(rows, err, scanJob)
}

// StartJob records a job that was accepted: status starting, in the session that is open in the room, if one is. Kind,
// room and setup must be set. ErrConflict when one of the kind occupies the room.
func (s *Store) StartJob(ctx context.Context, j Job) (Job, error) {
	err := s.update(ctx, func(t *tx) error {
		room, err := t.room(j.RoomID)
		if err != nil {
			return err
		}
		open, err := t.strings(`SELECT id FROM sessions WHERE room_id = ? AND ended_at = 0 ORDER BY id DESC LIMIT 1`, j.RoomID)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			j.SessionID = open[0]
		}
		now := trunc(time.Now())
		j.ID, j.WorkspaceID, j.Status, j.CreatedAt, j.UpdatedAt = NewID(), room.WorkspaceID, StatusStarting, now, now
		_, err = t.exec(`INSERT INTO jobs (`+jobColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, 0, 0)`,
			j.ID, string(j.Kind), j.WorkspaceID, j.RoomID, j.SessionID, string(j.Status), false, jsonOf(j.Setup), j.StartedBy, j.Reason,
			millis(now), millis(now))
		return t.conflict(err, string(j.Kind)+" of room", j.RoomID)
	})
	return j, err
}

// JobRunning records that a job does its work. Event beam.started.success.
func (s *Store) JobRunning(ctx context.Context, id string, at time.Time) (Job, error) {
	return s.moveJob(ctx, id, at, func(j *Job) error {
		if j.Status != StatusStarting {
			return wrongJob(j, StatusRunning)
		}
		j.Status, j.StartedAt = StatusRunning, j.UpdatedAt
		return nil
	}, "beam.started.success", func(j Job, r Room, v Session) any { return newBeamStarted(j.beam(), r, v) })
}

// PauseJob records that a recording leaves out what happens, or no longer does. ErrConflict when it does not run.
func (s *Store) PauseJob(ctx context.Context, id string, paused bool, at time.Time) (Job, error) {
	return s.moveJob(ctx, id, at, func(j *Job) error {
		if j.Status != StatusRunning {
			return wrongJob(j, StatusRunning)
		}
		j.Paused = paused
		return nil
	}, "", nil)
}

// JobStopping records that a stop was accepted, and by whom: a peer id, or "" for the API. A job that is stopping
// already stays as it is.
func (s *Store) JobStopping(ctx context.Context, id, stoppedBy string, at time.Time) (Job, error) {
	return s.moveJob(ctx, id, at, func(j *Job) error {
		switch j.Status {
		case StatusStarting, StatusRunning:
			j.Status, j.StoppedBy = StatusStopping, stoppedBy
			return nil
		case StatusStopping:
			return nil
		default:
			return wrongJob(j, StatusStopping)
		}
	}, "", nil)
}

// JobStopped records the end of a job that ran: status completed. Event beam.stopped.success.
func (s *Store) JobStopped(ctx context.Context, id, reason string, at time.Time) (Job, error) {
	return s.endJob(ctx, id, reason, StatusCompleted, at)
}

// JobRecorded does the same for one of which files are to come, see RecordingDone: status post_processing.
func (s *Store) JobRecorded(ctx context.Context, id, reason string, at time.Time) (Job, error) {
	return s.endJob(ctx, id, reason, StatusPostProcessing, at)
}

func (s *Store) endJob(ctx context.Context, id, reason string, to Status, at time.Time) (Job, error) {
	return s.moveJob(ctx, id, at, func(j *Job) error {
		if !j.Status.Active() {
			return wrongJob(j, to)
		}
		j.Status, j.Reason, j.StoppedAt = to, reason, j.UpdatedAt
		return nil
	}, "beam.stopped.success", func(j Job, r Room, v Session) any { return newBeamStopped(j.beam(), r, v, reason) })
}

// JobFailed records that a job failed. Event beam.failure.
func (s *Store) JobFailed(ctx context.Context, id string, f Failure) (Job, error) {
	var j Job
	err := s.update(ctx, func(t *tx) (err error) { j, err = t.failJob(id, f); return err })
	return j, err
}

func (t *tx) failJob(id string, f Failure) (Job, error) {
	return t.moveJob(id, f.At, func(j *Job) error {
		if !j.Status.Active() {
			return wrongJob(j, StatusFailed)
		}
		j.Status, j.Reason, j.StoppedAt = StatusFailed, "failure: "+f.Type+": "+f.Message, j.UpdatedAt
		return nil
	}, "beam.failure", func(j Job, r Room, v Session) any { return newBeamFailed(j.beam(), r, v, f) })
}

func (s *Store) moveJob(ctx context.Context, id string, at time.Time, move func(*Job) error, event string, data func(Job, Room, Session) any) (Job, error) {
	var j Job
	err := s.update(ctx, func(t *tx) (err error) { j, err = t.moveJob(id, at, move, event, data); return err })
	return j, err
}

// moveJob applies move to the record, whose UpdatedAt is set to at before, and writes the event of that type.
func (t *tx) moveJob(id string, at time.Time, move func(*Job) error, event string, data func(Job, Room, Session) any) (Job, error) {
	j, err := t.job(id)
	if err != nil {
		return j, err
	}
	room, err := t.room(j.RoomID)
	if err != nil {
		return j, err
	}
	if j, err = t.job(id); err != nil { // as it is now that the room is ours
		return j, err
	}
	j.UpdatedAt = trunc(at)
	if err := move(&j); err != nil {
		return j, err
	}
	_, err = t.exec(`UPDATE jobs SET status = ?, paused = ?, stopped_by = ?, reason = ?, updated_at = ?, started_at = ?, stopped_at = ? WHERE id = ?`,
		string(j.Status), j.Paused, j.StoppedBy, j.Reason, millis(j.UpdatedAt), millis(j.StartedAt), millis(j.StoppedAt), id)
	if err != nil || event == "" {
		return j, err
	}
	var v Session
	if j.SessionID != "" {
		if v, err = t.session(j.SessionID); err != nil {
			return j, err
		}
	}
	return j, t.event(room, j.UpdatedAt, event, data(j, room, v))
}

func wrongJob(j *Job, to Status) error {
	return fmt.Errorf("%s %s is %s, not to become %s: %w", j.Kind, j.ID, j.Status, to, ErrConflict)
}

// beam is the job as its events tell of it.
func (j Job) beam() beam {
	return beam{ID: j.ID, PeerID: j.StartedBy, MeetingURL: j.Setup.MeetingURL, Width: j.Setup.Width, Height: j.Setup.Height,
		RTMPURLs: j.Setup.RTMPURLs, Recording: j.Kind == Recording || j.Setup.Recording,
		CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, StoppedAt: j.StoppedAt}
}
