package policy

// Role names of the Live Streaming Starter Kit.
const (
	RoleBroadcaster    = "broadcaster"
	RoleViewerRealtime = "viewer-realtime"
	RoleHLSViewer      = "hls-viewer"
)

// StarterKit returns the template of the Live Streaming Starter Kit: people on
// stage, a floor that watches them over WebRTC and a gallery that watches the
// composed stream.
func StarterKit() *Template {
	audio := &AudioParams{BitRate: 32, Codec: "opus"}
	onStage := []string{RoleBroadcaster}
	return &Template{
		Name: "Live Streaming Starter Kit",
		Roles: map[string]*Role{
			RoleBroadcaster: {
				Name: RoleBroadcaster,
				PublishParams: PublishParams{
					Allowed: []Publishable{PublishAudio, PublishVideo, PublishScreen},
					Audio:   audio,
					Video:   &VideoParams{BitRate: 700, Codec: "vp8", FrameRate: 30, Width: 640, Height: 360},
					Screen:  &VideoParams{BitRate: 1500, Codec: "vp8", FrameRate: 15, Width: 1920, Height: 1080},
				},
				SubscribeParams: SubscribeParams{SubscribeToRoles: onStage, MaxSubsBitRate: 5200},
				Permissions: Permissions{
					EndRoom: true, RemoveOthers: true, Mute: true, Unmute: true, ChangeRole: true,
					HLSStreaming: true, RTMPStreaming: true, BrowserRecording: true, PollRead: true, PollWrite: true,
				},
				Priority: 1,
			},
			RoleViewerRealtime: {
				Name:            RoleViewerRealtime,
				PublishParams:   PublishParams{Allowed: []Publishable{}},
				SubscribeParams: SubscribeParams{SubscribeToRoles: onStage, MaxSubsBitRate: 5200},
				Permissions:     Permissions{PollRead: true},
				Priority:        2,
			},
			RoleHLSViewer: {
				Name:            RoleHLSViewer,
				PublishParams:   PublishParams{Allowed: []Publishable{}},
				SubscribeParams: SubscribeParams{SubscribeToRoles: []string{}},
				Permissions:     Permissions{PollRead: true},
				Priority:        3,
			},
		},
		Settings: Settings{Region: "auto"},
		Destinations: Destinations{HLS: map[string]*HLSDestination{
			"main": {
				Name:            "main",
				MaxDuration:     14400,
				Layers:          []HLSLayer{{Width: 1280, Height: 720, VideoBitrate: 2500, AudioBitrate: 128}},
				PlaylistType:    "live",
				VideoFrameRate:  30,
				EnableStaticURL: true,
				AutoStopTimeout: 300,

				MetadataInserted: true,
			},
		}},
	}
}
