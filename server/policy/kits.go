package policy

import "fmt"

// Kit is a template to begin with, as it is offered to people.
type Kit struct {
	ID   string // in addresses and forms
	Name string
	Text string // what it is for, in a sentence

	// Asks says that the answers of a Choices matter to it.
	Asks bool

	make func(Choices) *Template
}

// Choices are what the Live Streaming kit asks of whoever makes an app of it. The zero value is that of the
// starter kit.
type Choices struct {
	Portrait bool // the stream is 9:16, for phones
	Encoder  bool // streaming software may go on stage, over RTMP or WHIP
	OnStage  bool // viewers may be brought on stage, without the rights of a broadcaster
	VOD      bool // each stream is kept as a playlist with its chunks
	MP4      bool // each stream is kept as one file
}

// Role names of the kits besides those of the Live Streaming Starter Kit.
const (
	RoleViewerOnStage = "viewer-on-stage"
	RoleEncoder       = "encoder"

	roleHost      = "host"
	roleGuest     = "guest"
	roleSpeaker   = "speaker"
	rolePanelist  = "panelist"
	roleAttendee  = "attendee"
	roleViewer    = "viewer"
	roleModerator = "moderator"
	roleListener  = "listener"
	roleStage     = "stage"
	roleBackstage = "backstage"
	roleInvitee   = "invitee"
	roleFrontRow  = "front-row"
)

// Kits returns the kits in the order in which they are offered. It makes them anew, so that a program that
// offers none, such as the client, does not carry them.
func Kits() []Kit {
	return []Kit{
		{"live-streaming", "Live Streaming", "A few broadcast, many watch one composed stream and chat. The starter kit.", true, liveStreaming},
		{"video-conferencing", "Video Conferencing", "Everybody sees and hears everybody; a host keeps order.", false, videoConferencing},
		{"webinar", "Webinar", "A panel talks, attendees follow on the floor without delay, everybody else in the gallery.", false, webinar},
		{"audio-room", "Audio Room", "Speakers without cameras, listeners who ask to speak, and moderators.", false, audioRoom},
		{"virtual-event", "Virtual Event", "A stage with a backstage behind it, a front row, a gallery, and guests called up from it.", false, virtualEvent},
		{"empty", "Empty", "No roles and no destinations. For those who know what they want.", false, func(Choices) *Template { return kit("Empty", nil) }},
	}
}

// KitOf returns the kit of that id.
func KitOf(id string) (Kit, bool) {
	for _, k := range Kits() {
		if k.ID == id {
			return k, true
		}
	}
	return Kit{}, false
}

// Template makes a complete template of the kit.
func (k Kit) Template(c Choices) *Template {
	t := k.make(c)
	t.Complete()
	return t
}

// Bit rates of what roles of kits receive at most, in kbit/s.
const kitSubscription = 5200

// everything is what somebody may who leads a room.
var everything = Permissions{
	EndRoom: true, RemoveOthers: true, Mute: true, Unmute: true, ChangeRole: true,
	HLSStreaming: true, RTMPStreaming: true, BrowserRecording: true, PollRead: true, PollWrite: true,
}

// kit is a template of roles.
func kit(name string, roles []*Role) *Template {
	t := &Template{Name: name, Roles: make(map[string]*Role, len(roles)), Settings: Settings{Region: "auto"}}
	for i, r := range roles {
		r.Priority = min(i+1, 5)
		t.Roles[r.Name] = r
	}
	return t
}

// watching is a role that publishes nothing.
func watching(name string, may Permissions, sees ...string) *Role {
	return &Role{
		Name:            name,
		PublishParams:   PublishParams{Allowed: []Publishable{}},
		SubscribeParams: SubscribeParams{SubscribeToRoles: append([]string{}, sees...), MaxSubsBitRate: kitSubscription},
		Permissions:     may,
	}
}

// filming is a role with camera, microphone and screen; height is one of VideoHeights.
func filming(name string, height int, may Permissions, sees ...string) *Role {
	r := watching(name, may, sees...)
	video := VideoPreset(height, 16, 9)
	r.PublishParams = PublishParams{
		Allowed:   []Publishable{PublishAudio, PublishVideo, PublishScreen},
		Audio:     &AudioParams{BitRate: 32, Codec: "opus"},
		Video:     &video,
		Screen:    &VideoParams{BitRate: 1500, Codec: "vp8", FrameRate: 15, Width: 1920, Height: 1080},
		Simulcast: &Simulcast{Video: SimulcastOf(video)},
	}
	return r
}

// withoutScreen takes the screen from a role.
func withoutScreen(r *Role) *Role {
	r.PublishParams.Allowed, r.PublishParams.Screen = []Publishable{PublishAudio, PublishVideo}, nil
	return r
}

// speaking is a role with a microphone only.
func speaking(name string, may Permissions, sees ...string) *Role {
	r := watching(name, may, sees...)
	r.PublishParams.Allowed = []Publishable{PublishAudio}
	r.PublishParams.Audio = &AudioParams{BitRate: 48, Codec: "opus"}
	return r
}

func liveStreaming(c Choices) *Template {
	t := StarterKit()
	d := t.Destinations.HLS["main"]
	if c.Portrait {
		d.Layout = &Layout{AspectRatio: "9:16"}
	}
	if c.VOD || c.MP4 {
		d.Recording = &HLSRecording{HLSVOD: c.VOD, SingleFilePerLayer: c.MP4}
	}
	onStage := []string{RoleBroadcaster}
	join := func(r *Role) {
		onStage = append(onStage, r.Name)
		t.Roles[r.Name] = r
	}
	if c.Encoder {
		// Sources on stage get the most important role that may publish video.
		r := withoutScreen(filming(RoleEncoder, 720, Permissions{}))
		r.PublishParams.Simulcast = nil
		r.Priority = 1
		t.Roles[RoleBroadcaster].Priority = 2
		join(r)
	}
	if c.OnStage {
		r := withoutScreen(filming(RoleViewerOnStage, 360, Permissions{PollRead: true}))
		r.PublishParams.Simulcast = nil
		r.Priority = 3
		join(r)
	}
	for _, name := range append([]string{RoleViewerRealtime}, onStage...) {
		if name != RoleEncoder { // which is no person, and sees nobody
			t.Roles[name].SubscribeParams.SubscribeToRoles = append([]string{}, onStage...)
		}
	}
	return t
}

func videoConferencing(Choices) *Template {
	all := []string{roleHost, roleGuest}
	guest := Permissions{PollRead: true}
	return kit("Video Conferencing", []*Role{
		filming(roleHost, 720, everything, all...),
		filming(roleGuest, 720, guest, all...),
	})
}

func webinar(Choices) *Template {
	panel := []string{roleHost, rolePanelist}
	t := kit("Webinar", []*Role{
		filming(roleHost, 720, everything, panel...),
		filming(rolePanelist, 720, Permissions{PollRead: true, PollWrite: true}, panel...),
		watching(roleAttendee, Permissions{PollRead: true}, panel...),
		watching(roleViewer, Permissions{PollRead: true}),
	})
	t.streamed(&Layout{Mode: "active-speaker"})
	return t
}

func audioRoom(Choices) *Template {
	heard := []string{roleModerator, roleSpeaker}
	led := everything
	led.HLSStreaming, led.RTMPStreaming = false, false
	return kit("Audio Room", []*Role{
		speaking(roleModerator, led, heard...),
		speaking(roleSpeaker, Permissions{PollRead: true}, heard...),
		watching(roleListener, Permissions{PollRead: true}, heard...),
	})
}

func virtualEvent(Choices) *Template {
	shown := []string{roleStage, roleInvitee}
	behind := append([]string{roleBackstage}, shown...)
	t := kit("Virtual Event", []*Role{
		filming(roleStage, 720, Permissions{PollRead: true, PollWrite: true, Unmute: true}, shown...),
		filming(roleBackstage, 360, everything, behind...),
		withoutScreen(filming(roleInvitee, 360, Permissions{PollRead: true}, shown...)),
		watching(roleFrontRow, Permissions{PollRead: true}, shown...),
		watching(roleViewer, Permissions{PollRead: true}),
	})
	t.streamed(&Layout{Roles: shown})
	return t
}

// streamed adds the live stream of a kit.
func (t *Template) streamed(l *Layout) {
	t.Destinations.HLS = StarterKit().Destinations.HLS
	t.Destinations.HLS["main"].Layout = l
}

// VideoHeights are the qualities of a camera that are offered by name, in lines.
var VideoHeights = []int{1080, 720, 480, 360, 240, 120}

// VideoPreset is a camera's quality of a height of VideoHeights in an aspect ratio, 16:9 or 4:3.
func VideoPreset(height, w, h int) VideoParams {
	rates := map[int]int{1080: 2000, 720: 1500, 480: 900, 360: 700, 240: 300, 120: 100}
	return VideoParams{BitRate: rates[height], Codec: "vp8", FrameRate: 30, Width: (height*w/h + 1) &^ 1, Height: height}
}

// SimulcastOf is the ladder of layers for a quality: each half the size of the one before, down to 180 lines, three
// at most. A picture too small for two has none.
func SimulcastOf(v VideoParams) (s SimulcastLayers) {
	rate := v.BitRate
	for i, scale := 0, 1; i < 3 && v.Height/scale >= 180; i, scale = i+1, 2*scale {
		s.Layers = append(s.Layers, SimulcastLayer{RID: "fhq"[i : i+1], ScaleResolutionDownBy: float64(scale), MaxBitrate: rate, MaxFramerate: v.FrameRate})
		rate = max(rate/3, 80)
	}
	if len(s.Layers) < 2 {
		return SimulcastLayers{}
	}
	return s
}

// Describe says a quality in short, such as "1280×720 at 30/s, 1500 kbit/s".
func (v VideoParams) Describe() string {
	text := fmt.Sprintf("%d×%d at %d/s", v.Width, v.Height, v.FrameRate)
	if v.BitRate > 0 {
		text += fmt.Sprintf(", %d kbit/s", v.BitRate)
	}
	return text
}
