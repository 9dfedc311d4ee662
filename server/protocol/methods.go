package protocol

// Methods that the client sends (§3.5).
const (
	MethodJoin               = "join"
	MethodOffer              = "offer" // also server to client: the subscribe offer
	MethodAnswer             = "answer"
	MethodTrickle            = "trickle" // both ways
	MethodTrackUpdate        = "track-update"
	MethodLeave              = "leave"
	MethodPing               = "ping"
	MethodAnalytics          = "analytics"
	MethodBroadcast          = "broadcast"
	MethodRoleChangeRequest  = "role-change-request"
	MethodRoleChange         = "role-change"
	MethodPeerLeaveRequest   = "peer-leave-request"
	MethodEndRoom            = "end-room"
	MethodTrackUpdateRequest = "track-update-request"
	MethodChangeTrackMute    = "change-track-mute-state-request"
	MethodPeerUpdate         = "peer-update"
	MethodGroupJoin          = "group-join"
	MethodGroupLeave         = "group-leave"
	MethodGroupAdd           = "group-add"
	MethodGroupRemove        = "group-remove"
	MethodGetPeer            = "get-peer"
	MethodFindPeers          = "find-peer"
	MethodNextPeers          = "peer-iter-next"
	MethodSearchNames        = "peer-name-search"
	MethodSetMetadata        = "set-metadata"
	MethodGetMetadata        = "get-metadata"
	MethodListenMetadata     = "listen-metadata-change"
	MethodHLSStart           = "hls-start"
	MethodHLSStop            = "hls-stop"
	MethodHLSMetadata        = "hls-timed-metadata"
	MethodPreferVideo        = "prefer-video-track-state" // data channel
	MethodPreferAudio        = "prefer-audio-track-state" // data channel
)

// Notifications that the server sends (§3.7).
const (
	OnPolicyChange       = "on-policy-change"
	OnRoomState          = "room-state"
	OnPeerList           = "peer-list"
	OnRoomInfo           = "room-info"
	OnSessionInfo        = "session-info"
	OnNodeInfo           = "node-info"
	OnPeerJoin           = "on-peer-join"
	OnPeerLeave          = "on-peer-leave"
	OnPeerUpdate         = "on-peer-update"
	OnTrackAdd           = "on-track-add"
	OnTrackUpdate        = "on-track-update"
	OnTrackRemove        = "on-track-remove"
	OnBroadcast          = "on-broadcast"
	OnRoleChangeRequest  = "on-role-change-request"
	OnTrackUpdateRequest = "on-track-update-request"
	OnChangeTrackMute    = "on-change-track-mute-state-request"
	OnPeerLeaveRequest   = "on-peer-leave-request"
	OnHLSUpdate          = "on-hls-update"
	OnMetadataChange     = "on-metadata-change"
	OnActiveSpeakers     = "active-speakers"
	OnError              = "on-error"
	OnWarning            = "on-warning"
)

// HandRaiseGroup is the group whose members have their hand raised (§3.6.6).
const HandRaiseGroup = "_handraise"

// DataChannelLabel names the data channel on both connections (§4.7).
const DataChannelLabel = "ion-sfu"
