package client

import (
	"context"
	"encoding/json"
	"fmt"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// Call does an action by its name with arguments in JSON, for callers in
// another language. The result, if any, is to be encoded as JSON. It returns
// when the state has the action's effect and the Sink has been told.
func (c *Client) Call(ctx context.Context, method string, args []byte) (any, error) {
	action, known := calls[method]
	if !known {
		return nil, newError(codeValidationFailed, "NONE", "there is no action %q", method)
	}
	result, err := action(c, ctx, args)
	c.Flush(ctx)
	if err != nil {
		return nil, asError(err, "NONE")
	}
	return result, nil
}

type call func(c *Client, ctx context.Context, args []byte) (any, error)

// with reads the arguments of an action.
func with[A any](do func(c *Client, ctx context.Context, a A) (any, error)) call {
	return func(c *Client, ctx context.Context, args []byte) (any, error) {
		var a A
		if len(args) > 0 {
			if err := json.Unmarshal(args, &a); err != nil {
				return nil, newError(codeValidationFailed, "NONE", "arguments: %w", err)
			}
		}
		return do(c, ctx, a)
	}
}

// do is with for actions without a result.
func do[A any](action func(c *Client, ctx context.Context, a A) error) call {
	return with(func(c *Client, ctx context.Context, a A) (any, error) { return nil, action(c, ctx, a) })
}

type none struct{}

// flexible reads what may be a number or an object with width and height.
type videoSettings struct {
	DeviceID     *string `json:"deviceId"`
	Width        *int    `json:"width"`
	Height       *int    `json:"height"`
	MaxFramerate *int    `json:"maxFramerate"`
	FacingMode   *string `json:"facingMode"`
}

func (v videoSettings) apply(to *rtc.VideoConstraints) {
	set(&to.DeviceID, v.DeviceID)
	set(&to.Width, v.Width)
	set(&to.Height, v.Height)
	set(&to.FrameRate, v.MaxFramerate)
	set(&to.FacingMode, v.FacingMode)
	if v.FacingMode != nil && v.DeviceID == nil {
		to.DeviceID = "" // the other camera, whichever it is
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// calls are the actions by name.
var calls = map[string]call{
	"preview": do(func(c *Client, ctx context.Context, a JoinConfig) error { return c.Preview(ctx, a) }),
	"join":    do(func(c *Client, ctx context.Context, a JoinConfig) error { return c.Join(ctx, a) }),
	"leave":   do(func(c *Client, ctx context.Context, _ none) error { return c.Leave(ctx) }),
	"getAuthTokenByRoomCode": with(func(c *Client, ctx context.Context, a struct{ RoomCode, UserID, Endpoint string }) (any, error) {
		token, err := TokenByRoomCode(ctx, a.Endpoint, a.RoomCode, a.UserID)
		return map[string]string{"token": token}, err
	}),
	"setLocalEnabled": do(func(c *Client, ctx context.Context, a struct {
		Type    rtc.Kind
		Enabled bool
	}) error {
		return c.SetLocalEnabled(ctx, a.Type, a.Enabled)
	}),
	"setEnabledTrack": do(func(c *Client, ctx context.Context, a struct {
		TrackID string
		Enabled bool
	}) error {
		return c.SetTrackEnabled(ctx, a.TrackID, a.Enabled)
	}),
	"setScreenShareEnabled": do(func(c *Client, ctx context.Context, a struct {
		Enabled bool
		Config  map[string]any
	}) error {
		if !a.Enabled {
			return c.StopScreenShare(ctx)
		}
		videoOnly, _ := a.Config["videoOnly"].(bool)
		delete(a.Config, "videoOnly")
		delete(a.Config, "audioOnly")
		return c.StartScreenShare(ctx, ScreenShare{VideoOnly: videoOnly, Browser: a.Config})
	}),
	"setAudioSettings": do(func(c *Client, ctx context.Context, a struct{ DeviceID *string }) error {
		if a.DeviceID == nil {
			return nil
		}
		return c.SetAudioDevice(ctx, *a.DeviceID)
	}),
	"setVideoSettings": do(func(c *Client, ctx context.Context, a videoSettings) error { return c.SetVideo(ctx, a.apply) }),
	"switchCamera": do(func(c *Client, ctx context.Context, _ none) error {
		return c.SetVideo(ctx, func(v *rtc.VideoConstraints) {
			v.DeviceID = ""
			if v.FacingMode == "environment" {
				v.FacingMode = "user"
			} else {
				v.FacingMode = "environment"
			}
		})
	}),
	"refreshDevices": do(func(c *Client, ctx context.Context, _ none) error {
		c.RefreshDevices(ctx)
		return nil
	}),
	"setVolume": do(func(c *Client, ctx context.Context, a struct {
		Value   float64
		TrackID string
	}) error {
		return c.SetVolume(int(a.Value), a.TrackID)
	}),
	"setViewport": do(func(c *Client, ctx context.Context, a struct {
		TrackID       string
		Width, Height int
	}) error {
		c.SetViewport(a.TrackID, a.Width, a.Height)
		return nil
	}),
	"setPreferredLayer": do(func(c *Client, ctx context.Context, a struct{ TrackID, Layer string }) error {
		return c.SetPreferredLayer(a.TrackID, a.Layer)
	}),
	"sendMessage": with(func(c *Client, ctx context.Context, a struct {
		Message, Type, PeerID string
		Roles                 []string
	}) (any, error) {
		_, err := c.Send(ctx, a.Message, a.Type, a.Roles, a.PeerID)
		return nil, err
	}),
	"setMessageRead": do(func(c *Client, ctx context.Context, a struct {
		Read      bool
		MessageID string
	}) error {
		c.SetMessageRead(a.Read, a.MessageID)
		return nil
	}),
	"changeRoleOfPeer": do(func(c *Client, ctx context.Context, a struct {
		PeerID, Role string
		Force        bool
	}) error {
		return c.ChangeRole(ctx, a.PeerID, a.Role, a.Force)
	}),
	"changeRoleOfPeersWithRoles": do(func(c *Client, ctx context.Context, a struct {
		Roles []string
		Role  string
	}) error {
		return c.ChangeRoles(ctx, a.Roles, a.Role)
	}),
	"acceptChangeRole": do(func(c *Client, ctx context.Context, a struct{ Token string }) error {
		return c.AcceptRole(ctx, a.Token)
	}),
	"rejectChangeRole": do(func(c *Client, ctx context.Context, a struct{ Token string }) error {
		c.RejectRole(a.Token)
		return nil
	}),
	"setRemoteTrackEnabled": do(func(c *Client, ctx context.Context, a struct {
		TrackIDs []string
		Enabled  bool
	}) error {
		for _, id := range a.TrackIDs {
			if err := c.SetRemoteTrackEnabled(ctx, id, a.Enabled); err != nil {
				return fmt.Errorf("track %s: %w", id, err)
			}
		}
		return nil
	}),
	"setRemoteTracksEnabled": do(func(c *Client, ctx context.Context, a struct {
		Enabled bool
		Roles   []string
		Type    rtc.Kind
		Source  string
	}) error {
		return c.SetRemoteTracksEnabled(ctx, a.Enabled, a.Roles, a.Type, a.Source)
	}),
	"removePeer": do(func(c *Client, ctx context.Context, a struct{ PeerID, Reason string }) error {
		return c.RemovePeer(ctx, a.PeerID, a.Reason)
	}),
	"endRoom": do(func(c *Client, ctx context.Context, a struct {
		Lock   bool
		Reason string
	}) error {
		return c.EndRoom(ctx, a.Lock, a.Reason)
	}),
	"changeName": do(func(c *Client, ctx context.Context, a struct{ Name string }) error { return c.ChangeName(ctx, a.Name) }),
	"changeMetadata": do(func(c *Client, ctx context.Context, a struct{ Metadata string }) error {
		return c.ChangeMetadata(ctx, a.Metadata)
	}),
	"setHand": do(func(c *Client, ctx context.Context, a struct {
		PeerID string
		Raised bool
	}) error {
		return c.SetHand(ctx, a.PeerID, a.Raised)
	}),
	"getPeer": with(func(c *Client, ctx context.Context, a struct{ PeerID string }) (any, error) {
		return c.FindPeer(ctx, a.PeerID)
	}),
	"setSessionValue": with(func(c *Client, ctx context.Context, a struct {
		Key   string
		Value json.RawMessage
	}) (any, error) {
		return c.SetSessionValue(ctx, a.Key, a.Value)
	}),
	"observeSession": do(func(c *Client, ctx context.Context, a struct {
		Keys []string
		On   bool
	}) error {
		return c.ObserveSession(ctx, a.Keys, a.On)
	}),
	"findPeers": with(func(c *Client, ctx context.Context, a protocol.FindPeers) (any, error) {
		return c.FindPeers(ctx, a)
	}),
	"nextPeers": with(func(c *Client, ctx context.Context, a protocol.NextPeers) (any, error) {
		return c.NextPeers(ctx, a.Iterator, a.Limit)
	}),
	"searchNames": with(func(c *Client, ctx context.Context, a protocol.SearchNames) (any, error) {
		return c.SearchNames(ctx, a)
	}),
	"createPoll": with(func(c *Client, ctx context.Context, a Poll) (any, error) { return c.CreatePoll(ctx, a) }),
	"setPollQuestions": do(func(c *Client, ctx context.Context, a struct {
		ID        string
		Questions []PollQuestion
	}) error {
		return c.SetPollQuestions(ctx, a.ID, a.Questions)
	}),
	"startPoll": do(func(c *Client, ctx context.Context, a struct{ ID string }) error { return c.StartPoll(ctx, a.ID) }),
	"stopPoll":  do(func(c *Client, ctx context.Context, a struct{ ID string }) error { return c.StopPoll(ctx, a.ID) }),
	"vote": do(func(c *Client, ctx context.Context, a struct {
		ID        string
		Responses []PollResponse
	}) error {
		return c.Vote(ctx, a.ID, a.Responses)
	}),
	"fetchResponses": do(func(c *Client, ctx context.Context, a struct {
		ID   string
		Self bool
	}) error {
		return c.FetchResponses(ctx, a.ID, a.Self)
	}),
	"fetchPolls": with(func(c *Client, ctx context.Context, _ none) (any, error) { return c.FetchPolls(ctx) }),
	"leaderboard": with(func(c *Client, ctx context.Context, a struct {
		ID            string
		Offset, Count int
	}) (any, error) {
		return c.Leaderboard(ctx, a.ID, a.Offset, a.Count)
	}),
	"startHLSStreaming": do(func(c *Client, ctx context.Context, a hlsConfig) error {
		return c.StartHLS(ctx, protocol.HLSStart{Variants: a.variants(), Recording: a.recording()})
	}),
	"stopHLSStreaming": do(func(c *Client, ctx context.Context, a hlsConfig) error {
		return c.StopHLS(ctx, protocol.HLSStop{Variants: a.variants(), StopReason: a.StopReason})
	}),
	"sendHLSTimedMetadata": do(func(c *Client, ctx context.Context, a struct{ MetadataList []protocol.TimedMetadata }) error {
		return c.SendTimedMetadata(ctx, a.MetadataList)
	}),
	"watchStats": do(func(c *Client, ctx context.Context, _ none) error {
		c.WatchFigures()
		return nil
	}),
	"previewRole": do(func(c *Client, ctx context.Context, a struct {
		AsRole   string
		Settings InitialSettings
	}) error {
		return c.PreviewRole(ctx, a.AsRole, a.Settings)
	}),
	"cancelPreview": do(func(c *Client, ctx context.Context, _ none) error { return c.CancelPreview(ctx) }),
	"removeTrack": do(func(c *Client, ctx context.Context, a struct{ TrackID string }) error {
		return c.RemoveTrack(ctx, a.TrackID)
	}),
	"ignoreMessageTypes": do(func(c *Client, ctx context.Context, a struct {
		Types   []string
		Replace bool
	}) error {
		c.IgnoreMessages(a.Types, a.Replace)
		return nil
	}),
	"setSessionMetadata": do(func(c *Client, ctx context.Context, a struct{ Value json.RawMessage }) error {
		return c.SetSessionMetadata(ctx, a.Value)
	}),
	"populateSessionMetadata": do(func(c *Client, ctx context.Context, _ none) error { return c.FetchSessionMetadata(ctx) }),
	"startRTMPOrRecording":    do(func(c *Client, ctx context.Context, a RTMPStart) error { return c.StartRTMP(ctx, a) }),
	"stopRTMPAndRecording":    do(func(c *Client, ctx context.Context, _ none) error { return c.StopRTMP(ctx) }),
	"startTranscription":      do(func(c *Client, ctx context.Context, a Transcription) error { return c.StartTranscription(ctx, a) }),
	"stopTranscription":       do(func(c *Client, ctx context.Context, a Transcription) error { return c.StopTranscription(ctx, a) }),
	"updateTranscription":     do(func(c *Client, ctx context.Context, a Transcription) error { return c.SetTranscription(ctx, a) }),
	"openWhiteboard":          do(func(c *Client, ctx context.Context, a NewWhiteboard) error { return c.OpenWhiteboard(ctx, a) }),
	"closeWhiteboard": do(func(c *Client, ctx context.Context, a struct{ ID string }) error {
		c.CloseWhiteboard(a.ID)
		return nil
	}),
	"submitFeedback": do(func(c *Client, ctx context.Context, a struct {
		Feedback Feedback
		Endpoint string
	}) error {
		return c.SubmitFeedback(ctx, a.Feedback, a.Endpoint)
	}),
	"setOnline": do(func(c *Client, ctx context.Context, a struct{ Online bool }) error {
		c.SetOnline(a.Online)
		return nil
	}),
	"pageHidden": do(func(c *Client, ctx context.Context, _ none) error { return c.Leave(ctx) }),
}

// hlsConfig is the SDK's HLSConfig and StopHLSConfig.
type hlsConfig struct {
	Variants []struct{ MeetingURL, Metadata string }
	// Recording asks for recordings of the stream.
	Recording  *struct{ SingleFilePerLayer, HLSVod bool }
	StopReason string `json:"stop_reason"`
}

func (h hlsConfig) variants() []protocol.HLSVariant {
	var list []protocol.HLSVariant
	for _, v := range h.Variants {
		list = append(list, protocol.HLSVariant{MeetingURL: v.MeetingURL, Metadata: v.Metadata})
	}
	return list
}

func (h hlsConfig) recording() *protocol.HLSRecording {
	if h.Recording == nil {
		return nil
	}
	return &protocol.HLSRecording{SingleFilePerLayer: h.Recording.SingleFilePerLayer, VOD: h.Recording.HLSVod}
}
