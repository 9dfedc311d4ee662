package client

import (
	"encoding/json"
	"maps"
	"slices"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// RoomState is where the connection to the room stands.
type RoomState string

// The states of a connection.
const (
	Disconnected  RoomState = "Disconnected"
	Preview       RoomState = "Preview"
	Connecting    RoomState = "Connecting"
	Connected     RoomState = "Connected"
	Reconnecting  RoomState = "Reconnecting"
	Disconnecting RoomState = "Disconnecting"
	Failed        RoomState = "Failed"
)

// State is all that is known of the room, in the shape that applications of
// the 100ms SDK select from. Times are epoch milliseconds; 0 means unknown.
// Values are replaced whole, never changed in place.
type State struct {
	Room                Room                         `json:"room"`
	Peers               map[string]Peer              `json:"peers"`
	Tracks              map[string]Track             `json:"tracks"`
	Speakers            map[string]Speaker           `json:"speakers"` // by track
	ConnectionQualities map[string]ConnectionQuality `json:"connectionQualities"`
	Messages            []Message                    `json:"-"` // oldest first
	Settings            Settings                     `json:"settings"`
	Devices             Devices                      `json:"devices"`
	Roles               map[string]policy.Role       `json:"roles"`
	TemplateAppData     map[string]string            `json:"templateAppData"`
	RoleChangeRequests  []RoleChangeRequest          `json:"roleChangeRequests"`
	SessionStore        map[string]json.RawMessage   `json:"sessionStore"`
	Polls               map[string]Poll              `json:"polls"`
	SessionMetadata     json.RawMessage              `json:"sessionMetadata,omitempty"` // the session store's value "default"
	Whiteboards         map[string]Whiteboard        `json:"whiteboards"`
	Preview             *PreviewState                `json:"preview,omitempty"`
	Errors              []Error                      `json:"errors"`
	Debug               *DebugInfo                   `json:"debug,omitempty"`

	ignored map[string]bool // types of messages that are not kept
}

// Room is what is known of the room as a whole.
type Room struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	MaxSize     int       `json:"max_size,omitempty"`
	TemplateID  string    `json:"templateId,omitempty"`
	IsConnected bool      `json:"isConnected"`
	Peers       []string  `json:"peers"`
	LocalPeer   string    `json:"localPeer"`
	RoomState   RoomState `json:"roomState"`
	Recording   Recording `json:"recording"`
	RTMP        RunState  `json:"rtmp"`
	HLS         HLS       `json:"hls"`
	SessionID   string    `json:"sessionId"`
	StartedAt   int64     `json:"startedAt,omitempty"`
	JoinedAt    int64     `json:"joinedAt,omitempty"`
	PeerCount   *int      `json:"peerCount,omitempty"` // nil until the server has counted
	IsLargeRoom bool      `json:"isLargeRoom,omitempty"`

	Transcriptions   []TranscriptionState `json:"transcriptions,omitempty"`
	IsEffectsEnabled bool                 `json:"isEffectsEnabled"`
	IsVBEnabled      bool                 `json:"isVBEnabled"`
	EffectsKey       string               `json:"effectsKey,omitempty"`
	IsHIPAAEnabled   bool                 `json:"isHipaaEnabled"`
}

// RunState is the state of one recording or RTMP push.
type RunState struct {
	Running   bool   `json:"running"`
	State     string `json:"state,omitempty"`
	StartedAt int64  `json:"startedAt,omitempty"`
	Error     *Error `json:"error,omitempty"`
}

// Recording says which recordings run.
type Recording struct {
	Browser RunState `json:"browser"`
	Server  RunState `json:"server"`
	HLS     RunState `json:"hls"`
}

// HLS is the state of the live stream.
type HLS struct {
	Running  bool         `json:"running"`
	Variants []HLSVariant `json:"variants"`
	Error    *Error       `json:"error,omitempty"`
}

// HLSVariant is one stream. URL is empty until it is on the air.
type HLSVariant struct {
	URL           string `json:"url"`
	MeetingURL    string `json:"meetingURL,omitempty"`
	Metadata      string `json:"metadata,omitempty"`
	PlaylistType  string `json:"playlist_type,omitempty"`
	StreamType    string `json:"stream_type,omitempty"`
	State         string `json:"state,omitempty"`
	StartedAt     int64  `json:"startedAt,omitempty"`
	InitialisedAt int64  `json:"initialisedAt,omitempty"`
}

// Peer is one participant.
type Peer struct {
	ID              string   `json:"id"`
	Name            string   `json:"name"`
	RoleName        string   `json:"roleName,omitempty"`
	IsLocal         bool     `json:"isLocal"`
	VideoTrack      string   `json:"videoTrack,omitempty"` // the camera
	AudioTrack      string   `json:"audioTrack,omitempty"` // the microphone
	AuxiliaryTracks []string `json:"auxiliaryTracks"`
	CustomerUserID  string   `json:"customerUserId,omitempty"`
	Metadata        string   `json:"metadata,omitempty"`
	JoinedAt        int64    `json:"joinedAt,omitempty"`
	Groups          []string `json:"groups,omitempty"`
	IsHandRaised    bool     `json:"isHandRaised"`
	Type            string   `json:"type"`
}

// Track is a track that can be shown or heard: a remote one when its media has
// arrived, a local one from preview on.
type Track struct {
	ID               string            `json:"id"`
	Source           string            `json:"source"`
	Type             rtc.Kind          `json:"type"`
	Enabled          bool              `json:"enabled"`
	DisplayEnabled   bool              `json:"displayEnabled"`
	PeerID           string            `json:"peerId,omitempty"`
	DeviceID         string            `json:"deviceID,omitempty"`
	IsPublished      bool              `json:"isPublished,omitempty"` // local tracks only
	Volume           *int              `json:"volume,omitempty"`      // remote audio only, 0–100
	Layer            string            `json:"layer,omitempty"`       // remote video only, as are those below
	PreferredLayer   string            `json:"preferredLayer,omitempty"`
	LayerDefinitions []LayerDefinition `json:"layerDefinitions,omitempty"`
	Degraded         bool              `json:"degraded,omitempty"`

	// description is the publisher's free text; it is compared, not shown.
	description string
}

// LayerDefinition is one simulcast layer of a video, as large as its publisher
// may at most send it.
type LayerDefinition struct {
	Layer      string     `json:"layer"` // "high", "medium" or "low"
	Resolution Resolution `json:"resolution"`
}

// Resolution is in pixels.
type Resolution struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Speaker is a track that is heard, with its level from 0 to 100.
type Speaker struct {
	PeerID     string `json:"peerID"`
	TrackID    string `json:"trackID"`
	AudioLevel int    `json:"audioLevel"`
}

// ConnectionQuality is how well a peer receives: -1 unknown, 0 disconnected, 1
// very bad … 5 good.
type ConnectionQuality struct {
	PeerID          string `json:"peerID"`
	DownlinkQuality int    `json:"downlinkQuality"`
}

// Message is a chat message or custom event.
type Message struct {
	ID             string   `json:"id"`
	Sender         string   `json:"sender,omitempty"`
	SenderName     string   `json:"senderName,omitempty"`
	SenderUserID   string   `json:"senderUserId,omitempty"`
	SenderRole     string   `json:"senderRole,omitempty"`
	RecipientPeer  string   `json:"recipientPeer,omitempty"`
	RecipientRoles []string `json:"recipientRoles,omitempty"`
	Time           int64    `json:"time"`
	Read           bool     `json:"read"`
	Type           string   `json:"type"`
	Message        string   `json:"message"`
	Ignored        bool     `json:"ignored"`
}

// Settings is which devices are used.
type Settings struct {
	AudioInputDeviceID  string `json:"audioInputDeviceId"`
	VideoInputDeviceID  string `json:"videoInputDeviceId"`
	AudioOutputDeviceID string `json:"audioOutputDeviceId"`
}

// Devices is which devices there are.
type Devices struct {
	AudioInput  []rtc.Device `json:"audioInput"`
	AudioOutput []rtc.Device `json:"audioOutput"`
	VideoInput  []rtc.Device `json:"videoInput"`
}

// RoleChangeRequest is a question to the local peer that waits for an answer.
type RoleChangeRequest struct {
	RequestedBy string `json:"requestedBy,omitempty"`
	RoleName    string `json:"roleName"`
	Token       string `json:"token"`
}

// DebugInfo says how the client is connected.
type DebugInfo struct {
	WebsocketURL string   `json:"websocketURL"`
	EnabledFlags []string `json:"enabledFlags"`
	InitEndpoint string   `json:"initEndpoint"`
}

// PreviewState names what is previewed.
type PreviewState struct {
	LocalPeer  string `json:"localPeer,omitempty"`
	AsRole     string `json:"asRole,omitempty"`
	VideoTrack string `json:"videoTrack,omitempty"`
	AudioTrack string `json:"audioTrack,omitempty"`
}

func newState() State {
	return State{
		Room:                Room{RoomState: Disconnected, Peers: []string{}, HLS: HLS{Variants: []HLSVariant{}}},
		Peers:               map[string]Peer{},
		Tracks:              map[string]Track{},
		Speakers:            map[string]Speaker{},
		ConnectionQualities: map[string]ConnectionQuality{},
		Devices:             Devices{AudioInput: []rtc.Device{}, AudioOutput: []rtc.Device{}, VideoInput: []rtc.Device{}},
		Roles:               map[string]policy.Role{},
		TemplateAppData:     map[string]string{},
		RoleChangeRequests:  []RoleChangeRequest{},
		SessionStore:        map[string]json.RawMessage{},
		Polls:               map[string]Poll{},
		Whiteboards:         map[string]Whiteboard{},
		Errors:              []Error{},
		ignored:             map[string]bool{},
	}
}

// clone copies what can change: maps and slices, not the values in them.
func (s State) clone() State {
	c := s
	c.Room.Peers = slices.Clone(s.Room.Peers)
	c.Peers = maps.Clone(s.Peers)
	c.Tracks = maps.Clone(s.Tracks)
	c.Speakers = maps.Clone(s.Speakers)
	c.ConnectionQualities = maps.Clone(s.ConnectionQualities)
	c.Messages = slices.Clone(s.Messages)
	c.Roles = maps.Clone(s.Roles)
	c.TemplateAppData = maps.Clone(s.TemplateAppData)
	c.RoleChangeRequests = slices.Clone(s.RoleChangeRequests)
	c.Polls = maps.Clone(s.Polls)
	c.SessionStore = maps.Clone(s.SessionStore)
	c.Whiteboards = maps.Clone(s.Whiteboards)
	c.Errors = slices.Clone(s.Errors)
	c.ignored = maps.Clone(s.ignored)
	return c
}

// LocalPeer is the peer of this client; zero while in no room.
func (s State) LocalPeer() Peer { return s.Peers[s.Room.LocalPeer] }

// role is the role of the local peer; zero while unknown.
func (s State) role() policy.Role { return s.Roles[s.LocalPeer().RoleName] }

func isRunning(state string) bool {
	return state == protocol.StateInitialised || state == protocol.StateStarted || state == "resumed"
}
