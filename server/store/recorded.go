package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// RecordedFile is a file that a recording left.
type RecordedFile struct {
	Asset
	URL string // to fetch it for a while without a token
}

// Still is a picture out of a recording.
type Still struct {
	Path          string
	URL           string // to fetch it for a while without a token
	Width, Height int    // pixels
	Offset        int    // seconds from the beginning
}

// Recorded is what became of a recording.
type Recorded struct {
	ID         string  // of the live stream or the job
	Job        JobKind // empty: of a live stream
	At         time.Time
	Files      []RecordedFile // those that could not be made are failed assets
	Poster     Still          // without a path: there is none
	Thumbnails []Still
	Failure    string // why it is not all that it should be; empty when it is
}

// uploadError is what events call a recording of which no file could be made.
const uploadError = "UPLOAD_ERROR"

// RecordingDone records the files that a recording left, and ends the wait for them: a live stream or a job that ran to
// its end is completed then, or failed if there is no file. Events hls.recording.success and beam.recording.success when
// there are files, hls.failure and beam.failure when none could be made. A recording that is done already stays so.
func (s *Store) RecordingDone(ctx context.Context, r Recorded) error {
	return s.update(ctx, func(t *tx) error {
		known, err := t.strings(`SELECT id FROM assets WHERE job_id = ?`, r.ID)
		if err != nil || len(known) > 0 {
			return err
		}
		if r.Job == "" {
			return t.liveStreamRecorded(r)
		}
		return t.jobRecorded(r)
	})
}

// SettleRecordings ends the wait for files that will not come: of all recordings but those.
func (s *Store) SettleRecordings(ctx context.Context, but []string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		for _, q := range []struct{ query, kind string }{
			{`SELECT id FROM live_streams WHERE status = 'post_processing'`, ""},
			{`SELECT id FROM jobs WHERE status = 'post_processing' AND kind = 'recording'`, string(Recording)},
			{`SELECT id FROM jobs WHERE status = 'post_processing' AND kind = 'external_stream'`, string(ExternalStream)},
		} {
			ids, err := t.strings(q.query)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if slices.Contains(but, id) {
					continue
				}
				r := Recorded{ID: id, Job: JobKind(q.kind), At: at, Failure: "nothing was recorded"}
				if r.Job == "" {
					err = t.liveStreamRecorded(r)
				} else {
					err = t.jobRecorded(r)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// failure is the end of a recording without files.
func (r Recorded) failure() Failure {
	f := Failure{At: r.At, Type: uploadError, Message: "Failed to upload recordings. Check if upload config is correct."}
	if r.Failure != "" {
		f.Message = r.Failure
	}
	return f
}

// end is the state and the reason of what was recorded, after that.
func (r Recorded) end(status Status, reason string, files int) (Status, string) {
	switch {
	case status != StatusPostProcessing: // it failed, and yet there is what was recorded until then
		return status, reason
	case files == 0 && r.Failure != "":
		return StatusFailed, "failure: " + uploadError + ": " + r.Failure
	default:
		return StatusCompleted, reason
	}
}

// keptFiles are the files of a recording that are there.
type keptFiles struct {
	vod    *mediaFile
	single []mediaFile // the best layer first
	chat   mediaFile   // empty when nothing was said
}

// media is how many of them show what was recorded.
func (k keptFiles) media() int {
	if k.vod != nil {
		return len(k.single) + 1
	}
	return len(k.single)
}

// saveRecorded records the assets.
func (t *tx) saveRecorded(room Room, r Recorded) (kept keptFiles, err error) {
	for _, f := range r.Files {
		f.ID, f.WorkspaceID, f.CreatedAt = NewID(), room.WorkspaceID, trunc(r.At)
		if err := t.insertAsset(f.Asset); err != nil {
			return kept, err
		}
		if f.Status != AssetCompleted {
			continue
		}
		m := mediaFile{ID: f.ID, Path: f.Path, URL: f.URL, Size: f.Size, Duration: f.Duration}
		if size, ok := f.Metadata["resolution"].(map[string]any); ok {
			m.Width, _ = size["width"].(int)
			m.Height, _ = size["height"].(int)
		}
		switch f.Type {
		case AssetVOD:
			kept.vod = &m
		case AssetChat:
			if f.Metadata["output_mode"] == nil { // events name the documented form
				kept.chat = m
			}
		default:
			kept.single = append(kept.single, m)
		}
	}
	return kept, nil
}

func (t *tx) liveStreamRecorded(r Recorded) error {
	l, err := t.liveStream(r.ID)
	if err != nil {
		return err
	}
	v, room, err := t.sessionAndRoom(l.SessionID)
	if err != nil {
		return err
	}
	kept, err := t.saveRecorded(room, r)
	if err != nil {
		return err
	}
	now := trunc(r.At)
	status, reason := r.end(l.Status, l.Reason, kept.media())
	if _, err := t.exec(`UPDATE live_streams SET status = ?, reason = ?, updated_at = ? WHERE id = ?`, string(status), reason, millis(now), l.ID); err != nil {
		return err
	}
	if kept.media() == 0 {
		if status != StatusFailed || l.Status == StatusFailed {
			return nil
		}
		f, h := r.failure(), newHLSEvent(l, room, v)
		h.StateName, h.StateTimestamp = "HLSFailed", &now
		return t.event(room, now, "hls.failure", hlsFailed{hlsEvent: h, Duration: l.duration(), ErrorType: f.Type, ErrorMessage: f.Message, ErrorCode: 1})
	}
	first := kept.vod
	if first == nil {
		first = &kept.single[0]
	}
	return t.event(room, now, "hls.recording.success", newHLSRecording(l, room, v, first.ID, kept.vod, kept.single, kept.chat, newStillFiles(r), now))
}

func (t *tx) jobRecorded(r Recorded) error {
	j, err := t.job(r.ID)
	if err != nil {
		return err
	}
	room, err := t.room(j.RoomID)
	if err != nil {
		return err
	}
	if j, err = t.job(r.ID); err != nil { // as it is now that the room is ours
		return err
	}
	var v Session
	if j.SessionID != "" {
		if v, err = t.session(j.SessionID); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	kept, err := t.saveRecorded(room, r)
	if err != nil {
		return err
	}
	now := trunc(r.At)
	was := j.Status
	j.Status, j.Reason = r.end(j.Status, j.Reason, len(kept.single))
	if _, err := t.exec(`UPDATE jobs SET status = ?, reason = ?, updated_at = ? WHERE id = ?`, string(j.Status), j.Reason, millis(now), j.ID); err != nil {
		return err
	}
	if len(kept.single) == 0 {
		if j.Status != StatusFailed || was == StatusFailed {
			return nil
		}
		return t.event(room, now, "beam.failure", newBeamFailed(j.beam(), room, v, r.failure()))
	}
	return t.event(room, now, "beam.recording.success", newBeamRecording(j.beam(), room, v, kept.single[0], kept.chat, newStillFiles(r), now))
}
