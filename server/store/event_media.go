package store

import (
	"strconv"
	"time"

	"github.com/google/uuid"
)

// This file has the data of the events about recordings, RTMP pushes, transcripts and ingest. Whoever changes the
// record of such a job writes the event in the same transaction: t.event(room, at, "beam.failure", newBeamFailed(…)).

// beam is a job that composes a room for a recording or an RTMP push, as its events tell of it. (The word is that of the
// API.)
type beam struct {
	ID         string
	PeerID     string // who started it, empty for the API
	MeetingURL string
	Width      int // pixels
	Height     int
	RTMPURLs   []string
	Recording  bool
	CreatedAt  time.Time
	StartedAt  time.Time // zero when it never ran
	StoppedAt  time.Time
}

// duration is how long the job ran, in seconds.
func (b beam) duration() int {
	if b.StartedAt.IsZero() {
		return 0
	}
	return seconds(b.StartedAt, b.StoppedAt)
}

type rtmpTarget struct {
	URL string `json:"url"`
}

// beamEvent begins the data of all beam.* events.
type beamEvent struct {
	BeamID            string       `json:"beam_id"`
	JobID             string       `json:"job_id,omitempty"`
	RoomID            string       `json:"room_id"`
	SessionID         string       `json:"session_id"`
	TemplateID        string       `json:"template_id"`
	PeerID            string       `json:"peer_id"`
	MetadataID        string       `json:"metadata_id"`
	MetadataTimestamp time.Time    `json:"metadata_timestamp"`
	MeetingURL        string       `json:"meeting_url"`
	MaxWidth          int          `json:"max_width"`
	MaxHeight         int          `json:"max_height"`
	RTMP              []rtmpTarget `json:"rtmp"` // never null
	SessionStartedAt  time.Time    `json:"session_started_at"`
}

func newBeamEvent(b beam, r Room, s Session, at time.Time) beamEvent {
	targets := make([]rtmpTarget, len(b.RTMPURLs))
	for i, u := range b.RTMPURLs {
		targets[i].URL = u
	}
	return beamEvent{BeamID: b.ID, JobID: b.ID, RoomID: r.ID, SessionID: s.ID, TemplateID: r.TemplateID, PeerID: b.PeerID,
		MetadataID: uuid.NewString(), MetadataTimestamp: at, MeetingURL: b.MeetingURL, MaxWidth: b.Width, MaxHeight: b.Height,
		RTMP: targets, SessionStartedAt: s.CreatedAt}
}

// beamState is in the events about a job's state.
type beamState struct {
	RecordingEnabled bool      `json:"recording_enabled"`
	StateName        string    `json:"state_name"`
	StateTimestamp   time.Time `json:"state_timestamp"`
}

// beamStarted is the data of beam.started.success.
type beamStarted struct {
	beamEvent
	beamState
	StartDelay int `json:"start_delay"` // seconds
}

func newBeamStarted(b beam, r Room, s Session) beamStarted {
	return beamStarted{beamEvent: newBeamEvent(b, r, s, b.StartedAt), beamState: beamState{b.Recording, "Started", b.StartedAt},
		StartDelay: seconds(b.CreatedAt, b.StartedAt)}
}

// beamStopped is the data of beam.stopped.success.
type beamStopped struct {
	beamEvent
	beamState
	Duration int    `json:"duration"` // seconds
	Reason   string `json:"reason"`
}

func newBeamStopped(b beam, r Room, s Session, reason string) beamStopped {
	return beamStopped{beamEvent: newBeamEvent(b, r, s, b.StoppedAt), beamState: beamState{b.Recording, "Stopped", b.StoppedAt},
		Duration: b.duration(), Reason: reason}
}

// beamFailed is the data of beam.failure.
type beamFailed struct {
	beamEvent
	beamState
	Duration     int    `json:"duration"` // seconds
	ErrorType    string `json:"error_type"`
	ErrorMessage string `json:"error_message"`
	ErrorCode    int    `json:"error_code"`
}

func newBeamFailed(b beam, r Room, s Session, f Failure) beamFailed {
	return beamFailed{beamEvent: newBeamEvent(b, r, s, b.StoppedAt), beamState: beamState{b.Recording, "Failed", b.StoppedAt},
		Duration: b.duration(), ErrorType: f.Type, ErrorMessage: f.Message, ErrorCode: 1}
}

// mediaFile is a file that a recording left, as events tell of it.
type mediaFile struct {
	ID       string // of the recording asset
	Path     string
	URL      string // to read it for a while without a token
	Size     int64  // bytes
	Duration int    // seconds
	Width    int    // pixels
	Height   int
}

// chatFile is where the chat of a recorded session is; in most events about recordings.
type chatFile struct {
	Path string `json:"chat_recording_path"`
	URL  string `json:"chat_recording_presigned_url"`
}

// beamRecording is the data of beam.recording.success, as a webhook and as an analytics event.
type beamRecording struct {
	beamEvent
	CreatedAt     time.Time `json:"created_at"`
	StartedAt     time.Time `json:"started_at"`
	StoppedAt     time.Time `json:"stopped_at"`
	Duration      int       `json:"duration"` // seconds
	Size          int64     `json:"size"`     // bytes
	RecordingID   string    `json:"recording_id"`
	RecordingPath string    `json:"recording_path"`
	RecordingURL  string    `json:"recording_presigned_url"`
	chatFile
	stillFiles
	Location string `json:"location"` // the path again, as it was named before
}

func newBeamRecording(b beam, r Room, s Session, f mediaFile, chat mediaFile, stills stillFiles, at time.Time) beamRecording {
	e := beamRecording{beamEvent: newBeamEvent(b, r, s, at), CreatedAt: b.CreatedAt, StartedAt: b.StartedAt, StoppedAt: b.StoppedAt,
		Duration: f.Duration, Size: f.Size, RecordingID: f.ID, RecordingPath: f.Path, RecordingURL: f.URL,
		chatFile: chatFile{chat.Path, chat.URL}, stillFiles: stills, Location: f.Path}
	e.JobID = ""
	return e
}

// hlsVOD is the part of hls.recording.success that is there when a stream to be watched later was kept.
type hlsVOD struct {
	Path     string `json:"hls_vod_recording_path"`
	URL      string `json:"hls_vod_recording_presigned_url"`
	Size     int64  `json:"hls_vod_recording_size"`
	Location string `json:"recording_hls_vod_playlist_location"` // the URL again, as it was named before
}

// layerFile is one size of an HLS recording as a single file. Layer "0" is the best.
type layerFile struct {
	AssetID string `json:"asset_id"`
	Layer   string `json:"layer"`
	Path    string `json:"recording_path"`
	URL     string `json:"recording_presigned_url"`
	Size    int64  `json:"size"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
}

// thumbnail is a picture out of a recording.
type thumbnail struct {
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Offset   int    `json:"offset"` // seconds from the beginning
	Location string `json:"location"`
	URL      string `json:"url"`
}

// stillFiles are the pictures that a recording left.
type stillFiles struct {
	PosterPath string      `json:"recording_poster_path,omitempty"`
	PosterURL  string      `json:"recording_poster_presigned_url,omitempty"`
	Thumbnails []thumbnail `json:"recording_thumbnails,omitempty"`
}

func newStillFiles(r Recorded) stillFiles {
	s := stillFiles{PosterPath: r.Poster.Path, PosterURL: r.Poster.URL}
	for _, t := range r.Thumbnails {
		s.Thumbnails = append(s.Thumbnails, thumbnail{t.Width, t.Height, t.Offset, t.Path, t.URL})
	}
	return s
}

// hlsRecording is the data of hls.recording.success.
type hlsRecording struct {
	BeamID            string    `json:"beam_id"`
	RoomID            string    `json:"room_id"`
	SessionID         string    `json:"session_id"`
	TemplateID        string    `json:"template_id"`
	MetadataID        string    `json:"metadata_id"`
	MetadataTimestamp time.Time `json:"metadata_timestamp"`
	MeetingURL        string    `json:"meeting_url"`
	MaxWidth          int       `json:"max_width"`
	MaxHeight         int       `json:"max_height"`
	Duration          int       `json:"duration"` // seconds
	StartedAt         time.Time `json:"started_at"`
	StoppedAt         time.Time `json:"stopped_at"`
	RecordedAt        time.Time `json:"recording_created_at"`
	SessionStartedAt  time.Time `json:"session_started_at"`
	RecordingID       string    `json:"recording_id"`
	*hlsVOD
	chatFile
	SingleFiles []layerFile `json:"recording_single_files,omitempty"`
	stillFiles
}

// newHLSRecording makes the data of hls.recording.success: vod when a stream was kept, files with the best layer first.
func newHLSRecording(l LiveStream, r Room, s Session, id string, vod *mediaFile, files []mediaFile, chat mediaFile, stills stillFiles, at time.Time) hlsRecording {
	e := hlsRecording{BeamID: l.ID, RoomID: r.ID, SessionID: s.ID, TemplateID: r.TemplateID, MetadataID: uuid.NewString(),
		MetadataTimestamp: at, MeetingURL: l.MeetingURL, MaxWidth: l.Width, MaxHeight: l.Height, Duration: l.duration(),
		StartedAt: l.begin(), StoppedAt: l.StoppedAt, RecordedAt: at, SessionStartedAt: s.CreatedAt, RecordingID: id,
		chatFile: chatFile{chat.Path, chat.URL}, stillFiles: stills}
	if vod != nil {
		e.hlsVOD = &hlsVOD{vod.Path, vod.URL, vod.Size, vod.URL}
	}
	for i, f := range files {
		e.SingleFiles = append(e.SingleFiles, layerFile{f.ID, strconv.Itoa(i), f.Path, f.URL, f.Size, f.Width, f.Height})
	}
	return e
}

// trackEvent begins the data of track.recording.* events, and is that of track.recording.started.success.
type trackEvent struct {
	RoomID    string `json:"room_id"`
	SessionID string `json:"session_id"`
	PeerID    string `json:"peer_id"`
	StreamID  string `json:"stream_id"`
	TrackID   string `json:"track_id"`
	TrackType string `json:"track_type"` // audio or video
}

// recordedFile ends the data of events about the recording of a track or a stream.
type recordedFile struct {
	Size          int64  `json:"size"`     // bytes
	Duration      int    `json:"duration"` // seconds
	RecordingID   string `json:"recording_id"`
	RecordingPath string `json:"recording_path"`
	RecordingURL  string `json:"recording_presigned_url,omitempty"` // with success
	ErrorMessage  string `json:"error_message,omitempty"`           // with failure
}

// trackRecorded is the data of track.recording.success and track.recording.failure.
type trackRecorded struct {
	trackEvent
	recordedFile
}

// streamRecorded is the data of stream.recording.success and stream.recording.failure.
type streamRecorded struct {
	RoomID     string `json:"room_id"`
	SessionID  string `json:"session_id"`
	PeerID     string `json:"peer_id"`
	StreamID   string `json:"stream_id"`
	UserID     string `json:"user_id"`
	StreamType string `json:"stream_type"` // regular, screen or audio
	Type       string `json:"type"`        // the same: documentation and samples name it differently
	recordedFile
}

// compositeRecorded is the data of recording.success.
type compositeRecorded struct {
	roomRef
	Location      string `json:"location"` // the next two, as they were named before
	OldURL        string `json:"URL"`
	RecordingPath string `json:"recording_path"`
	RecordingURL  string `json:"recording_presigned_url"`
	chatFile
	Duration         int       `json:"duration"` // seconds
	Size             int64     `json:"size"`     // bytes
	SessionStartedAt time.Time `json:"session_started_at"`
	SessionStoppedAt time.Time `json:"session_stopped_at"`
}

func newCompositeRecorded(r Room, s Session, f mediaFile, chat mediaFile) compositeRecorded {
	return compositeRecorded{roomRef: refTo(r, s), Location: f.Path, OldURL: f.URL, RecordingPath: f.Path, RecordingURL: f.URL,
		chatFile: chatFile{chat.Path, chat.URL}, Duration: f.Duration, Size: f.Size, SessionStartedAt: s.CreatedAt, SessionStoppedAt: s.EndedAt}
}

// compositeFailed is the data of recording.failed.
type compositeFailed struct {
	roomRef
	Error            string    `json:"error"`
	ErrorType        string    `json:"error_type"`
	SessionStartedAt time.Time `json:"session_started_at"`
	SessionStoppedAt time.Time `json:"session_stopped_at"`
}

func newCompositeFailed(r Room, s Session, f Failure) compositeFailed {
	return compositeFailed{roomRef: refTo(r, s), Error: f.Message, ErrorType: f.Type, SessionStartedAt: s.CreatedAt, SessionStoppedAt: s.EndedAt}
}

// transcript is the data of transcription.started.success, and begins that of the other transcription.* events. The ids
// are those of assets.
type transcript struct {
	AccountID         string    `json:"account_id"`
	AppID             string    `json:"app_id"`
	MetadataID        string    `json:"metadata_id"`
	MetadataTimestamp time.Time `json:"metadata_timestamp"`
	RecordingID       string    `json:"recording_id"`
	RoomID            string    `json:"room_id"`
	RoomName          string    `json:"room_name"`
	SessionID         string    `json:"session_id"`
	TranscriptionID   string    `json:"transcription_id"`
	Duration          int       `json:"duration"` // seconds
	SummaryJSON       string    `json:"summary_json_asset_id"`
	TranscriptJSON    string    `json:"transcript_json_asset_id"`
	TranscriptSRT     string    `json:"transcript_srt_asset_id"`
	TranscriptTXT     string    `json:"transcript_txt_asset_id"`
}

// transcribed is the data of transcription.success and transcription.failure. With the latter some files may be missing.
type transcribed struct {
	transcript
	SummaryJSONPath    string `json:"summary_json_path"`
	SummaryJSONURL     string `json:"summary_json_presigned_url"`
	TranscriptJSONPath string `json:"transcript_json_path"`
	TranscriptJSONURL  string `json:"transcript_json_presigned_url"`
	TranscriptSRTPath  string `json:"transcript_srt_path"`
	TranscriptSRTURL   string `json:"transcript_srt_presigned_url"`
	TranscriptTXTPath  string `json:"transcript_txt_path"`
	TranscriptTXTURL   string `json:"transcript_txt_presigned_url"`
}

// ingestRef begins the data of all ingest.* events.
type ingestRef struct {
	AccountID  string `json:"account_id"`
	AppID      string `json:"app_id"`
	RoomID     string `json:"room_id"`
	TemplateID string `json:"template_id"`
}

// ingestStarted is the data of ingest.start.success.
type ingestStarted struct {
	ingestRef
	IngestID  string    `json:"ingest_id"`
	StreamID  string    `json:"stream_id"`
	StartedAt time.Time `json:"started_at"`
}

// ingestEnded is the data of ingest.end.success.
type ingestEnded struct {
	ingestStarted
	CompletedAt        time.Time `json:"completed_at"`
	LastDisconnectedAt time.Time `json:"last_disconnected_at"`
	Duration           int       `json:"duration"` // seconds
	Reason             string    `json:"reason"`
}

// ingestFailed is the data of ingest.start.failure, which has no id, and ingest.failure.
type ingestFailed struct {
	ingestRef
	IngestID     string `json:"ingest_id,omitempty"`
	ErrorMessage string `json:"error_message"`
}
