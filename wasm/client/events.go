package client

import (
	"amphi/server/policy"
	"amphi/wasm/rtc"
)

// NotificationType says what a notification is about.
type NotificationType string

// The notifications, with the names of the SDK's HMSNotificationTypes, and
// what their Data is.
const (
	NotifyPeerJoined        NotificationType = "PEER_JOINED"               // Peer
	NotifyPeerLeft          NotificationType = "PEER_LEFT"                 // Peer
	NotifyPeerList          NotificationType = "PEER_LIST"                 // []Peer
	NotifyNameUpdated       NotificationType = "NAME_UPDATED"              // Peer
	NotifyMetadataUpdated   NotificationType = "METADATA_UPDATED"          // Peer
	NotifyRoleUpdated       NotificationType = "ROLE_UPDATED"              // Peer
	NotifyHandRaiseChanged  NotificationType = "HAND_RAISE_CHANGED"        // Peer
	NotifyTrackAdded        NotificationType = "TRACK_ADDED"               // Track
	NotifyTrackRemoved      NotificationType = "TRACK_REMOVED"             // Track
	NotifyTrackMuted        NotificationType = "TRACK_MUTED"               // Track
	NotifyTrackUnmuted      NotificationType = "TRACK_UNMUTED"             // Track
	NotifyTrackDegraded     NotificationType = "TRACK_DEGRADED"            // Track
	NotifyTrackRestored     NotificationType = "TRACK_RESTORED"            // Track
	NotifyTrackDescription  NotificationType = "TRACK_DESCRIPTION_CHANGED" // Track
	NotifyNewMessage        NotificationType = "NEW_MESSAGE"               // Message
	NotifyError             NotificationType = "ERROR"                     // *Error
	NotifyReconnecting      NotificationType = "RECONNECTING"              // *Error
	NotifyReconnected       NotificationType = "RECONNECTED"               // nil
	NotifyChangeTrackState  NotificationType = "CHANGE_TRACK_STATE_REQUEST"
	NotifyChangeTrackStates NotificationType = "CHANGE_MULTI_TRACK_STATE_REQUEST"
	NotifyRoomEnded         NotificationType = "ROOM_ENDED"                  // LeaveRequest
	NotifyRemovedFromRoom   NotificationType = "REMOVED_FROM_ROOM"           // LeaveRequest
	NotifyPollCreated       NotificationType = "POLL_CREATED"                // Poll
	NotifyPollStarted       NotificationType = "POLL_STARTED"                // Poll
	NotifyPollStopped       NotificationType = "POLL_STOPPED"                // Poll
	NotifyPollVotes         NotificationType = "POLL_VOTES_UPDATED"          // Poll
	NotifyPollsList         NotificationType = "POLLS_LIST"                  // Poll
	NotifyTranscription     NotificationType = "TRANSCRIPTION_STATE_UPDATED" // []TranscriptionState
	NotifyDeviceChange      NotificationType = "DEVICE_CHANGE_UPDATE"
)

const (
	severityInfo  = "info"
	severityError = "error"
)

// Notification tells the application of one event. The state already has its effect.
type Notification struct {
	Type     NotificationType `json:"type"`
	Message  string           `json:"message"`
	Severity string           `json:"severity,omitempty"`
	Data     any              `json:"data"`
}

func info(kind NotificationType, data any) Notification {
	return Notification{Type: kind, Severity: severityInfo, Data: data}
}

// TrackStateRequest asks the local peer to mute (which has happened already) or
// unmute (which is for the application to ask) one track.
type TrackStateRequest struct {
	RequestedBy *Peer `json:"requestedBy,omitempty"`
	Track       Track `json:"track"`
	Enabled     bool  `json:"enabled"`
}

// TracksStateRequest is the same for several tracks.
type TracksStateRequest struct {
	RequestedBy *Peer    `json:"requestedBy,omitempty"`
	Tracks      []Track  `json:"tracks"`
	Type        rtc.Kind `json:"type,omitempty"`
	Source      string   `json:"source,omitempty"`
	Enabled     bool     `json:"enabled"`
}

// LeaveRequest says why the local peer is no longer in the room.
type LeaveRequest struct {
	RequestedBy *Peer  `json:"requestedBy,omitempty"`
	Reason      string `json:"reason"`
	RoomEnded   bool   `json:"roomEnded"`
}

// DeviceChange is the data of NotifyDeviceChange.
type DeviceChange struct {
	Type    string  `json:"type"` // "audioInput" or "video"
	Devices Devices `json:"devices"`
}

// roleView is a role as applications get it: permissions and publish params
// complete, where the wire leaves out what is false or not allowed.
type roleView struct {
	policy.Role
	Permissions   map[string]bool `json:"permissions"`
	PublishParams publishView     `json:"publishParams"`
}

type publishView struct {
	Allowed   []policy.Publishable `json:"allowed"`
	Audio     policy.AudioParams   `json:"audio"`
	Video     policy.VideoParams   `json:"video"`
	Screen    policy.VideoParams   `json:"screen"`
	Simulcast policy.Simulcast     `json:"simulcast"`
}

func rolesView(roles map[string]policy.Role) map[string]roleView {
	views := make(map[string]roleView, len(roles))
	for name, role := range roles {
		p := role.Permissions
		v := roleView{Role: role, Permissions: map[string]bool{
			"endRoom": p.EndRoom, "removeOthers": p.RemoveOthers, "mute": p.Mute, "unmute": p.Unmute,
			"changeRole": p.ChangeRole, "sendRoomState": p.SendRoomState, "hlsStreaming": p.HLSStreaming,
			"rtmpStreaming": p.RTMPStreaming, "browserRecording": p.BrowserRecording, "pollRead": p.PollRead,
			"pollWrite": p.PollWrite,
		}}
		v.PublishParams.Allowed = role.PublishParams.Allowed
		if v.PublishParams.Allowed == nil {
			v.PublishParams.Allowed = []policy.Publishable{}
		}
		if role.SubscribeParams.SubscribeToRoles == nil {
			v.SubscribeParams.SubscribeToRoles = []string{}
		}
		if a := role.PublishParams.Audio; a != nil {
			v.PublishParams.Audio = *a
		}
		if video := role.PublishParams.Video; video != nil {
			v.PublishParams.Video = *video
		}
		if screen := role.PublishParams.Screen; screen != nil {
			v.PublishParams.Screen = *screen
		}
		if s := role.PublishParams.Simulcast; s != nil {
			v.PublishParams.Simulcast = *s
		}
		views[name] = v
	}
	return views
}
