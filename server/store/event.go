package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// envelope is the body of a webhook request.
type envelope struct {
	Version   string    `json:"version"`
	ID        string    `json:"id"`
	AccountID string    `json:"account_id"` // the workspace
	AppID     string    `json:"app_id"`
	Timestamp time.Time `json:"timestamp"` // whole seconds
	Type      string    `json:"type"`
	Data      any       `json:"data"`
}

// event writes an event about a room to the outbox, if anybody wants the room's events.
func (t *tx) event(room Room, at time.Time, kind string, data any) error {
	if !t.rooms[room.ID] {
		return fmt.Errorf("event %s about room %s, which the transaction has not taken", kind, room.ID)
	}
	w, err := t.workspace(room.WorkspaceID)
	if err != nil {
		return err
	}
	if w.Webhook.URL == "" && room.Webhook == nil {
		return nil
	}
	id := uuid.NewString()
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // it is no HTML, and people read it
	err = enc.Encode(envelope{Version: versionOf(kind), ID: id, AccountID: w.ID, AppID: w.AppID,
		Timestamp: at.UTC().Truncate(time.Second), Type: kind, Data: data})
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO outbox (event_id, workspace_id, room_id, type, payload, state, attempts, next_at, created_at, finished_at, last_error)
		VALUES (?, ?, ?, ?, ?, 'pending', 0, 0, ?, 0, '')`,
		id, w.ID, room.ID, kind, string(bytes.TrimSuffix(body.Bytes(), []byte("\n"))), time.Now().UnixMilli())
	if err != nil {
		return err
	}
	if t.events == nil {
		t.events = make(map[string]struct{})
	}
	t.events[room.ID] = struct{}{}
	return nil
}

// versionOf returns the version of an event's form.
func versionOf(kind string) string {
	if kind == "recording.success" || kind == "recording.failed" {
		return "1.0"
	}
	return "2.0"
}

// roomRef begins the data of most events.
type roomRef struct {
	RoomID     string `json:"room_id"`
	RoomName   string `json:"room_name"`
	SessionID  string `json:"session_id"`
	TemplateID string `json:"template_id"`
}

func refTo(r Room, s Session) roomRef {
	return roomRef{RoomID: r.ID, RoomName: r.Name, SessionID: s.ID, TemplateID: r.TemplateID}
}

// sessionEvent is the data of session.open.success.
type sessionEvent struct {
	roomRef
	SessionStartedAt time.Time `json:"session_started_at"`
}

// closeEvent is the data of session.close.success.
type closeEvent struct {
	sessionEvent
	SessionStoppedAt time.Time `json:"session_stopped_at"`
	SessionDuration  int       `json:"session_duration"` // seconds
}

// peerEvent is the data of peer.join.success, and begins that of other events about a peer.
type peerEvent struct {
	roomRef
	PeerID           string    `json:"peer_id"`
	UserID           string    `json:"user_id"`
	UserName         string    `json:"user_name"`
	UserData         string    `json:"user_data"`
	Role             string    `json:"role"`
	JoinedAt         time.Time `json:"joined_at"`
	SessionStartedAt time.Time `json:"session_started_at"`
	Type             string    `json:"type"`
}

func newPeerEvent(r Room, s Session, p Peer, data string) peerEvent {
	return peerEvent{roomRef: refTo(r, s), PeerID: p.ID, UserID: p.UserID, UserName: p.Name, UserData: data, Role: p.Role,
		JoinedAt: p.JoinedAt, SessionStartedAt: s.CreatedAt, Type: "regular"}
}

// leaveEvent is the data of peer.leave.success.
type leaveEvent struct {
	peerEvent
	LeftAt   time.Time `json:"left_at"`
	Duration int       `json:"duration"` // seconds
	Reason   string    `json:"reason"`
	Message  string    `json:"message"`
}

// roleEvent is the data of role.change.success.
type roleEvent struct {
	peerEvent
	PreviousRole  string    `json:"previous_role"`
	RoleChangedAt time.Time `json:"role_changed_at"`
	RequestedBy   string    `json:"role_change_requested_by,omitempty"`
}

// endEvent is the data of room.end.success.
type endEvent struct {
	roomRef
	PeerID           string    `json:"peer_id"`
	UserID           string    `json:"user_id"`
	UserName         string    `json:"user_name"`
	Role             string    `json:"role"`
	LockRoom         bool      `json:"lock_room"`
	Reason           string    `json:"reason"`
	Source           string    `json:"source"` // peer or api
	SessionStartedAt time.Time `json:"session_started_at"`
}

// hlsEvent begins the data of all hls.* events.
type hlsEvent struct {
	BeamID             string     `json:"beam_id"`
	JobID              string     `json:"job_id"`
	RoomID             string     `json:"room_id"`
	SessionID          string     `json:"session_id"`
	TemplateID         string     `json:"template_id"`
	PeerID             string     `json:"peer_id"`
	MetadataID         string     `json:"metadata_id"`
	MetadataTimestamp  time.Time  `json:"metadata_timestamp"`
	MeetingURL         string     `json:"meeting_url"`
	MaxWidth           int        `json:"max_width"`
	MaxHeight          int        `json:"max_height"`
	SingleFilePerLayer bool       `json:"recording_single_file_per_layer_enabled"`
	VODPlaylist        bool       `json:"recording_vod_playlist_enabled"`
	SessionStartedAt   time.Time  `json:"session_started_at"`
	StateName          string     `json:"state_name"`
	StateTimestamp     *time.Time `json:"state_timestamp"`
}

func newHLSEvent(l LiveStream, r Room, s Session) hlsEvent {
	return hlsEvent{BeamID: l.ID, JobID: l.ID, RoomID: r.ID, SessionID: s.ID, TemplateID: r.TemplateID, PeerID: l.StartedBy,
		MetadataID: uuid.NewString(), MetadataTimestamp: l.UpdatedAt, MeetingURL: l.MeetingURL, MaxWidth: l.Width, MaxHeight: l.Height,
		SingleFilePerLayer: l.Recording.SingleFilePerLayer, VODPlaylist: l.Recording.HLSVOD, SessionStartedAt: s.CreatedAt}
}

// hlsStarted is the data of hls.started.success.
type hlsStarted struct {
	hlsEvent
	URL        string    `json:"url"`
	StartDelay int       `json:"start_delay"` // seconds
	StartedAt  time.Time `json:"started_at"`
}

// hlsStopped is the data of hls.stopped.success.
type hlsStopped struct {
	hlsEvent
	URL               string    `json:"url"`
	Duration          int       `json:"duration"` // seconds
	StartedAt         time.Time `json:"started_at"`
	StoppedAt         time.Time `json:"stopped_at"`
	Reason            string    `json:"reason"`
	LiveTranscription bool      `json:"live_transcription_enabled"`
}

// hlsFailed is the data of hls.failure.
type hlsFailed struct {
	hlsEvent
	Duration     int    `json:"duration"` // seconds
	ErrorType    string `json:"error_type"`
	ErrorMessage string `json:"error_message"`
	ErrorCode    int    `json:"error_code"`
}

// seconds is the whole seconds between two times, not negative.
func seconds(from, to time.Time) int { return int(max(0, to.Sub(from)) / time.Second) }
