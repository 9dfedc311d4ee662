package client

import (
	"context"

	"amphi/server/protocol"
)

// StartHLS puts the room on the air.
func (c *Client) StartHLS(ctx context.Context, start protocol.HLSStart) error {
	return c.request(ctx, protocol.MethodHLSStart, start)
}

// StopHLS takes it off.
func (c *Client) StopHLS(ctx context.Context, stop protocol.HLSStop) error {
	return c.request(ctx, protocol.MethodHLSStop, stop)
}

// SendTimedMetadata puts payloads into the stream, now.
func (c *Client) SendTimedMetadata(ctx context.Context, list []protocol.TimedMetadata) error {
	return c.request(ctx, protocol.MethodHLSMetadata, protocol.HLSMetadata{Objects: list})
}

// RTMPStart asks for pushes of the composed picture, for a recording of it, or
// for both (§3.6.11).
type RTMPStart struct {
	MeetingURL string   `json:"meeting_url,omitempty"`
	Record     bool     `json:"record"`
	RTMPURLs   []string `json:"rtmp_urls,omitempty"`
	Resolution *struct {
		Width  int `json:"width"`
		Height int `json:"height"`
	} `json:"resolution,omitempty"`
}

// StartRTMP begins to push or record.
func (c *Client) StartRTMP(ctx context.Context, start RTMPStart) error {
	return c.request(ctx, protocol.MethodRTMPStart, start)
}

// StopRTMP ends all pushes and recordings.
func (c *Client) StopRTMP(ctx context.Context) error {
	return c.request(ctx, protocol.MethodRTMPStop, struct{}{})
}

// Transcription is how to write down what is said. Stopping needs only Mode,
// changing only what changes (§3.6.12).
type Transcription struct {
	Mode        string       `json:"mode,omitempty"`
	Language    string       `json:"language,omitempty"`
	Translation *Translation `json:"translation,omitempty"`
}

// Translation says which roles read captions in which language.
type Translation struct {
	Enabled       bool              `json:"enabled"`
	RoleLanguages map[string]string `json:"roleLanguages,omitempty"`
}

// StartTranscription begins captions.
func (c *Client) StartTranscription(ctx context.Context, t Transcription) error {
	return c.request(ctx, protocol.MethodTranscriptionStart, t)
}

// StopTranscription ends them.
func (c *Client) StopTranscription(ctx context.Context, t Transcription) error {
	return c.request(ctx, protocol.MethodTranscriptionStop, t)
}

// SetTranscription changes captions that run.
func (c *Client) SetTranscription(ctx context.Context, t Transcription) error {
	return c.request(ctx, protocol.MethodTranscriptionSet, t)
}

// TranscriptionState is the state of captions of one mode.
type TranscriptionState struct {
	Mode          string       `json:"mode"`
	State         string       `json:"state"`
	Language      string       `json:"language,omitempty"`
	InitialisedAt int64        `json:"initialised_at,omitempty"`
	StartedAt     int64        `json:"started_at,omitempty"`
	UpdatedAt     int64        `json:"updated_at,omitempty"`
	StoppedAt     int64        `json:"stopped_at,omitempty"`
	Error         *Error       `json:"error,omitempty"`
	Translation   *Translation `json:"translation,omitempty"`
}

// transcription reads the one entry of on-transcription-update, which replaces
// all (§6.6).
func (r *reducer) transcription(t *tx, p struct {
	TranscriptionState
	Error *protocol.Error `json:"error"`
}) {
	if p.Error != nil && p.Error.Code != 0 {
		p.TranscriptionState.Error = asError(p.Error, "NONE")
	}
	list := []TranscriptionState{p.TranscriptionState}
	t.setRoom(func(room *Room) { room.Transcriptions = list })
	t.notify(info(NotifyTranscription, list))
}
