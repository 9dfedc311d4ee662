package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestStarterKitLevels(t *testing.T) {
	kit := StarterKit()
	for name, want := range map[string]Level{RoleBroadcaster: Stage, RoleViewerRealtime: Floor, RoleHLSViewer: Gallery} {
		if got := kit.Roles[name].Level(); got != want {
			t.Errorf("%s is on the %s, want the %s", name, got, want)
		}
	}
	if kit.Roles[RoleHLSViewer].WebRTC() || !kit.Roles[RoleViewerRealtime].WebRTC() {
		t.Error("the floor has WebRTC, the gallery has not")
	}
	if kit.HLS("") == nil || kit.HLS("main") == nil || kit.HLS("other") != nil {
		t.Error("the kit has one HLS destination, main")
	}
	before, _ := json.Marshal(kit)
	kit.Complete()
	if err := kit.Check(); err != nil {
		t.Error(err)
	}
	if after, _ := json.Marshal(kit); string(after) != string(before) {
		t.Errorf("the kit was not complete:\n%s\n%s", before, after)
	}
}

func TestMayPublish(t *testing.T) {
	talker := &Role{PublishParams: PublishParams{Allowed: []Publishable{PublishAudio}}}
	presenter := &Role{PublishParams: PublishParams{Allowed: []Publishable{PublishScreen}}}
	for _, tc := range []struct {
		role         *Role
		kind, source string
		want         bool
	}{
		{talker, "audio", "regular", true},
		{talker, "audio", "audioplaylist", true},
		{talker, "video", "regular", false},
		{talker, "audio", "screen", false},
		{presenter, "audio", "screen", true},
		{presenter, "video", "screen", true},
		{presenter, "video", "regular", false},
	} {
		if got := tc.role.MayPublish(tc.kind, tc.source); got != tc.want {
			t.Errorf("%v may publish %s/%s: %v, want %v", tc.role.PublishParams.Allowed, tc.kind, tc.source, got, tc.want)
		}
	}
}

func TestCompleteFillsWhatClientsNeed(t *testing.T) {
	tpl := &Template{Roles: map[string]*Role{"guest": nil, "host": {PublishParams: PublishParams{Allowed: []Publishable{PublishAudio, PublishVideo, PublishScreen}}}}}
	tpl.Complete()
	if err := tpl.Check(); err != nil {
		t.Fatal(err)
	}
	guest, _ := json.Marshal(tpl.Roles["guest"])
	const want = `{"name":"guest","publishParams":{"allowed":[]},"subscribeParams":{"subscribeToRoles":[],"maxSubsBitRate":0},"permissions":{"sendRoomState":false},"priority":1,"maxPeerCount":0}`
	if string(guest) != want {
		t.Errorf("got  %s\nwant %s", guest, want)
	}
	host := tpl.Roles["host"].PublishParams
	if host.Audio == nil || host.Video == nil || host.Screen == nil {
		t.Errorf("quality is missing: %+v", host)
	}
}

func TestCheckFindsEverything(t *testing.T) {
	tpl := &Template{
		Name: "<b>",
		Roles: map[string]*Role{"a": {
			PublishParams:   PublishParams{Allowed: []Publishable{"smell"}, Audio: &AudioParams{BitRate: 1}},
			SubscribeParams: SubscribeParams{SubscribeToRoles: []string{"nobody"}},
		}},
		Destinations: Destinations{HLS: map[string]*HLSDestination{"x": {Layers: []HLSLayer{{Width: 101, Height: 99}}, PlaylistType: "loop"}}},
	}
	tpl.Complete()
	err := tpl.Check()
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("error %v, want ErrInvalid", err)
	}
	for _, want := range []string{"name may have", `"smell"`, "audio.bitRate", `"nobody"`, "101x99", "playlistType"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %s:\n%v", want, err)
		}
	}
	if err := (&Template{}).Check(); !errors.Is(err, ErrInvalid) {
		t.Error("a template without roles passed")
	}
}

// Clients are told the size of a camera in each role, and nothing else is changed by it.
func TestClientRoles(t *testing.T) {
	camera := &VideoParams{Codec: "vp8", FrameRate: 30, Width: 640, Height: 360}
	tmpl := Template{Roles: map[string]*Role{
		"host":  {Name: "host", PublishParams: PublishParams{Allowed: []Publishable{PublishVideo}, Video: camera}},
		"guest": {Name: "guest", Priority: 3},
	}}
	roles := tmpl.ClientRoles()
	if roles["host"] != tmpl.Roles["host"] {
		t.Error("a whole role is changed")
	}
	if g := roles["guest"]; g.Priority != 3 || g.PublishParams.Video == nil || g.PublishParams.Video.Width == 0 || len(g.PublishParams.Allowed) > 0 {
		t.Errorf("guest: %+v", g)
	}
	if tmpl.Roles["guest"].PublishParams.Video != nil {
		t.Error("the template is changed")
	}
}

func TestProblems(t *testing.T) {
	tpl := StarterKit()
	tpl.Roles[RoleBroadcaster].PublishParams.Video.BitRate = 5
	tpl.Roles[RoleBroadcaster].SubscribeParams.SubscribeToRoles = []string{"nobody"}
	tpl.Destinations.HLS["main"].PlaylistType = "vinyl"
	var fields []string
	for _, p := range Problems(tpl.Check()) {
		if !errors.Is(p, ErrInvalid) {
			t.Errorf("%v is no ErrInvalid", p)
		}
		for _, owner := range []string{"role broadcaster", "hls destination main", "role broad"} {
			if field, _, ok := p.Of(owner); ok {
				fields = append(fields, owner+"/"+field)
			}
		}
	}
	if got := strings.Join(fields, " "); got != "role broadcaster/video.bitRate role broadcaster/subscribeToRoles hls destination main/playlistType" {
		t.Errorf("problems of %s", got)
	}
	if Problems(nil) != nil || Problems(errors.New("other")) != nil {
		t.Error("problems without any")
	}
}
