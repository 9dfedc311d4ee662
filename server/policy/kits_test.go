package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// TestKits holds every kit, with every choice, against the rules of templates, and says who is on which level.
func TestKits(t *testing.T) {
	levels := map[string]map[string]Level{
		"live-streaming":     {RoleBroadcaster: Stage, RoleViewerRealtime: Floor, RoleHLSViewer: Gallery},
		"video-conferencing": {"host": Stage, "guest": Stage},
		"webinar":            {"host": Stage, "panelist": Stage, "attendee": Floor, "viewer": Gallery},
		"audio-room":         {"moderator": Stage, "speaker": Stage, "listener": Floor},
		"virtual-event":      {"stage": Stage, "backstage": Stage, "invitee": Stage, "front-row": Floor, "viewer": Gallery},
		"empty":              {},
	}
	for _, k := range Kits() {
		if same, ok := KitOf(k.ID); !ok || same.Name != k.Name {
			t.Errorf("kit %s is not found by its id", k.ID)
		}
		plain := k.Template(Choices{})
		for name, want := range levels[k.ID] {
			if r := plain.Roles[name]; r == nil || r.Level() != want {
				t.Errorf("%s: %s is %v, want the %s", k.ID, name, r, want)
			}
		}
		if want, known := levels[k.ID]; !known || len(plain.Roles) != len(want) {
			t.Errorf("%s has %d roles, want %d", k.ID, len(plain.Roles), len(want))
		}
		for i := range 32 {
			made := k.Template(Choices{i&1 > 0, i&2 > 0, i&4 > 0, i&8 > 0, i&16 > 0})
			if err := made.Check(); err != nil {
				t.Errorf("%s, choices %05b: %v", k.ID, i, err)
			}
			leads := func(r *Role) bool { return r.Permissions.EndRoom && r.Permissions.ChangeRole }
			if k.ID != "empty" && !slices.ContainsFunc(slices.Collect(maps.Values(made.Roles)), leads) {
				t.Errorf("%s: nobody leads its rooms", k.ID)
			}
			before, _ := json.Marshal(made)
			made.Complete()
			if after, _ := json.Marshal(made); string(after) != string(before) {
				t.Errorf("%s, choices %05b: changes when it is completed again", k.ID, i)
			}
		}
	}
}

func TestChoices(t *testing.T) {
	k, _ := KitOf("live-streaming")
	made := k.Template(Choices{Portrait: true, Encoder: true, OnStage: true, VOD: true})
	d := made.HLS("")
	if shape := d.Layout.Shape(d.Layers[0]); shape.Width != 720 || shape.Height != 1280 {
		t.Errorf("the stream for phones is %dx%d", shape.Width, shape.Height)
	}
	if d.Recording == nil || !d.Recording.HLSVOD || d.Recording.SingleFilePerLayer {
		t.Errorf("kept: %+v", d.Recording)
	}
	invited := made.Roles[RoleViewerOnStage]
	if invited.Level() != Stage || invited.Permissions.HLSStreaming || invited.Permissions.ChangeRole {
		t.Errorf("who is brought on stage: %+v", invited)
	}
	for _, name := range []string{RoleBroadcaster, RoleViewerRealtime, RoleViewerOnStage} {
		for _, other := range []string{RoleBroadcaster, RoleViewerOnStage, RoleEncoder} {
			if !made.Roles[name].Sees(other) {
				t.Errorf("%s does not see %s", name, other)
			}
		}
	}
	if e := made.Roles[RoleEncoder]; e.Priority >= made.Roles[RoleBroadcaster].Priority || !e.MayPublish("video", "regular") {
		t.Errorf("streaming software comes as another role than %+v", e)
	}
}
