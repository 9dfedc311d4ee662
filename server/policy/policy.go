// Package policy holds templates: what the roles of a room may do, whom they
// see, and what the room's live stream looks like.
//
// Everything here is data and pure functions of it. The JSON form is that of
// template objects in the REST API (camelCase); roles go to clients in the same
// form inside on-policy-change.
package policy

import (
	"maps"
	"slices"
)

// Template is the blueprint of rooms. ID and times belong to the record that
// stores it, not to the policy.
type Template struct {
	Name         string           `json:"name"`
	Roles        map[string]*Role `json:"roles"`
	Settings     Settings         `json:"settings"`
	Destinations Destinations     `json:"destinations"`
	Recordings   []Recording      `json:"recordings,omitempty"` // at most one
	Plugins      map[string]any   `json:"plugins,omitempty"`
}

// Role says what a participant may publish, whom they see and what they may do.
type Role struct {
	Name            string          `json:"name"`
	PublishParams   PublishParams   `json:"publishParams"`
	SubscribeParams SubscribeParams `json:"subscribeParams"`
	Permissions     Permissions     `json:"permissions"`
	Priority        int             `json:"priority"`     // 1 is the most important
	MaxPeerCount    int             `json:"maxPeerCount"` // 0 unlimited, -1 nobody
}

// Publishable is an entry of PublishParams.Allowed.
type Publishable string

// What a role can be allowed to publish.
const (
	PublishAudio  Publishable = "audio"
	PublishVideo  Publishable = "video"
	PublishScreen Publishable = "screen"
)

// PublishParams says what a role publishes, and in which quality.
type PublishParams struct {
	Allowed   []Publishable `json:"allowed"` // never null: clients iterate it
	Audio     *AudioParams  `json:"audio,omitempty"`
	Video     *VideoParams  `json:"video,omitempty"`
	Screen    *VideoParams  `json:"screen,omitempty"`
	Simulcast *Simulcast    `json:"simulcast,omitempty"`
}

// AudioParams is the quality of a microphone. BitRate is in kbit/s.
type AudioParams struct {
	BitRate int    `json:"bitRate"`
	Codec   string `json:"codec"`
}

// VideoParams is the quality of a camera or screen. BitRate is in kbit/s and
// omitted when 0, since clients fail on 0; sizes are in pixels. Codec is vp8,
// h264, vp9 or av1: what is taken of a client that offers it. With vp8, which is
// the default, the client's own order counts.
type VideoParams struct {
	BitRate   int    `json:"bitRate,omitempty"`
	Codec     string `json:"codec"`
	FrameRate int    `json:"frameRate"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
}

// Simulcast holds the layers in which video is sent.
type Simulcast struct {
	Video  SimulcastLayers `json:"video"`
	Screen SimulcastLayers `json:"screen"`
}

// SimulcastLayers lists layers from the largest (rid "f") down.
type SimulcastLayers struct {
	Layers []SimulcastLayer `json:"layers,omitempty"`
}

// SimulcastLayer is one size of a simulcast video. MaxBitrate is in kbit/s.
type SimulcastLayer struct {
	RID                   string  `json:"rid"`
	ScaleResolutionDownBy float64 `json:"scaleResolutionDownBy"`
	MaxBitrate            int     `json:"maxBitrate"`
	MaxFramerate          int     `json:"maxFramerate"`
}

// SubscribeParams says whose media a role receives. MaxSubsBitRate is in kbit/s.
type SubscribeParams struct {
	SubscribeToRoles     []string              `json:"subscribeToRoles"`
	MaxSubsBitRate       int                   `json:"maxSubsBitRate"`
	SubscribeDegradation *SubscribeDegradation `json:"subscribeDegradation,omitempty"`
}

// SubscribeDegradation says when video is given up on a bad network.
// PacketLossThreshold is in percent.
type SubscribeDegradation struct {
	PacketLossThreshold       int  `json:"packetLossThreshold"`
	DegradeGracePeriodSeconds int  `json:"degradeGracePeriodSeconds"`
	RecoverGracePeriodSeconds int  `json:"recoverGracePeriodSeconds"`
	VideoAlwaysEnabled        bool `json:"videoAlwaysEnabled,omitempty"`
}

// Permissions is what a role may do to the room and to others. The server
// enforces them; clients only hide buttons.
type Permissions struct {
	EndRoom          bool `json:"endRoom,omitempty"`
	RemoveOthers     bool `json:"removeOthers,omitempty"`
	Mute             bool `json:"mute,omitempty"`
	Unmute           bool `json:"unmute,omitempty"`
	ChangeRole       bool `json:"changeRole,omitempty"`
	SendRoomState    bool `json:"sendRoomState"`
	HLSStreaming     bool `json:"hlsStreaming,omitempty"`
	RTMPStreaming    bool `json:"rtmpStreaming,omitempty"`
	BrowserRecording bool `json:"browserRecording,omitempty"`
	PollRead         bool `json:"pollRead,omitempty"`
	PollWrite        bool `json:"pollWrite,omitempty"`
}

// Level is how interactive a role is.
type Level int

// The three levels of interactivity.
const (
	Stage   Level = 1 // publishes over WebRTC
	Floor   Level = 2 // watches over WebRTC
	Gallery Level = 3 // watches the composed stream
)

// String returns the level's name in lower case.
func (l Level) String() string {
	switch l {
	case Stage:
		return "stage"
	case Floor:
		return "floor"
	default:
		return "gallery"
	}
}

// Level tells the role's level from what it may publish and whom it sees.
func (r *Role) Level() Level {
	switch {
	case len(r.PublishParams.Allowed) > 0:
		return Stage
	case len(r.SubscribeParams.SubscribeToRoles) > 0:
		return Floor
	default:
		return Gallery
	}
}

// WebRTC says whether peers of the role have peer connections at all.
func (r *Role) WebRTC() bool { return r.Level() != Gallery }

// MayPublish says whether the role may publish a track of this kind ("audio" or
// "video") and source. Screen tracks, their sound included, need "screen"; every
// other source counts as microphone or camera.
func (r *Role) MayPublish(kind, source string) bool {
	want := Publishable(kind)
	if source == string(PublishScreen) {
		want = PublishScreen
	}
	return slices.Contains(r.PublishParams.Allowed, want)
}

// Sees says whether peers of the role receive the media of peers of other.
func (r *Role) Sees(other string) bool {
	return slices.Contains(r.SubscribeParams.SubscribeToRoles, other)
}

// HLS returns the destination of that name, or the only one when name is empty.
// It is nil when there is none, or when several leave the choice open.
func (t *Template) HLS(name string) *HLSDestination {
	if name != "" {
		return t.Destinations.HLS[name]
	}
	if len(t.Destinations.HLS) == 1 {
		for _, d := range t.Destinations.HLS {
			return d
		}
	}
	return nil
}

// ClientRoles returns the roles as clients want them: with the size of a camera's picture where
// none may be published, too. Once it knows of simulcast, the web client of 100ms reads it for each
// camera that it opens or sees, and a preview as another role opens one.
func (t *Template) ClientRoles() map[string]*Role {
	roles := maps.Clone(t.Roles)
	for name, r := range roles {
		if r.PublishParams.Video == nil {
			whole, video := *r, defaultVideo
			whole.PublishParams.Video = &video
			roles[name] = &whole
		}
	}
	return roles
}

// RenameRole gives a role another name wherever the template refers to it; an empty one takes the references out.
func (t *Template) RenameRole(from, to string) {
	for _, r := range t.Roles {
		if r == nil {
			continue
		}
		var sees []string
		for _, name := range r.SubscribeParams.SubscribeToRoles {
			if name == from {
				name = to
			}
			if name != "" {
				sees = append(sees, name)
			}
		}
		r.SubscribeParams.SubscribeToRoles = append([]string{}, sees...)
	}
	for _, d := range t.Destinations.HLS {
		if d == nil || d.Layout == nil {
			continue
		}
		if i := slices.Index(d.Layout.Roles, from); i >= 0 && to != "" {
			d.Layout.Roles[i] = to
		} else if i >= 0 {
			d.Layout.Roles = slices.Delete(d.Layout.Roles, i, i+1)
		}
	}
	for name, tr := range t.Destinations.Transcriptions {
		if tr.Role == from {
			if tr.Role = to; to == "" {
				delete(t.Destinations.Transcriptions, name)
			}
		}
	}
}
