package dash

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"amphi/server/policy"
)

// RolePage is the editor of a role.
type RolePage struct {
	App
	Role   string // its name before this; "" = a new one
	Level  policy.Level
	Others []string // names of all roles of the app, in order
}

func (p RolePage) action() string { return p.at("/roles/" + pathSegment(p.Role)) }

// roleOptions are what a new role can begin as.
func (p RolePage) startOptions() []Option {
	list := []Option{
		{"stage", "On the stage: camera, microphone and screen"},
		{"floor", "On the floor: sees the stage without delay"},
		{"gallery", "In the gallery: watches the live stream"},
	}
	for _, name := range p.Others {
		list = append(list, Option{"=" + name, "A copy of " + name})
	}
	return list
}

// RolesByLevel are the roles of a template, from the stage outwards.
func RolesByLevel(t *policy.Template) []*policy.Role {
	list := make([]*policy.Role, 0, len(t.Roles))
	for _, r := range t.Roles {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *policy.Role) int {
		return cmp.Or(cmp.Compare(a.Level(), b.Level()), cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// published says what a role publishes.
func published(r *policy.Role) string {
	var words []string
	for _, what := range r.PublishParams.Allowed {
		switch v := r.PublishParams.Video; {
		case what == policy.PublishVideo && v != nil:
			words = append(words, fmt.Sprintf("video %dp", v.Height))
		default:
			words = append(words, string(what))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "nothing")
}

func seen(r *policy.Role) string {
	return cmp.Or(strings.Join(r.SubscribeParams.SubscribeToRoles, ", "), "the live stream")
}

// Right is a permission, as a form has it.
type Right struct {
	Name, Label, Hint string
	Of                func(*policy.Permissions) *bool
}

// Rights are all permissions of a role.
var Rights = []Right{
	{"changeRole", "Change roles", "Brings people on stage and back.", func(p *policy.Permissions) *bool { return &p.ChangeRole }},
	{"mute", "Mute others", "", func(p *policy.Permissions) *bool { return &p.Mute }},
	{"unmute", "Ask others to unmute", "", func(p *policy.Permissions) *bool { return &p.Unmute }},
	{"removeOthers", "Remove others", "", func(p *policy.Permissions) *bool { return &p.RemoveOthers }},
	{"endRoom", "End the room for all", "", func(p *policy.Permissions) *bool { return &p.EndRoom }},
	{"hlsStreaming", "Start and stop the live stream", "", func(p *policy.Permissions) *bool { return &p.HLSStreaming }},
	{"rtmpStreaming", "Push to other services (RTMP)", "", func(p *policy.Permissions) *bool { return &p.RTMPStreaming }},
	{"browserRecording", "Start and stop recordings", "", func(p *policy.Permissions) *bool { return &p.BrowserRecording }},
	{"pollRead", "See polls and answer them", "", func(p *policy.Permissions) *bool { return &p.PollRead }},
	{"pollWrite", "Make polls", "", func(p *policy.Permissions) *bool { return &p.PollWrite }},
	{"sendRoomState", "See who is there before joining", "", func(p *policy.Permissions) *bool { return &p.SendRoomState }},
}

// VideoOptions are the qualities of a camera by name.
func VideoOptions() []Option {
	list := []Option{}
	for _, shape := range [][2]int{{16, 9}, {4, 3}} {
		for _, h := range policy.VideoHeights {
			v := policy.VideoPreset(h, shape[0], shape[1])
			list = append(list, Option{fmt.Sprintf("%d:%d:%d", h, shape[0], shape[1]), fmt.Sprintf("%dp %d:%d (%s)", h, shape[0], shape[1], v.Describe())})
		}
	}
	return append(list, Option{"", "The numbers below"})
}

// ScreenOptions are those of a screen.
var ScreenOptions = []Option{{"720", "720p (1280×720)"}, {"1080", "1080p (1920×1080)"}, {"", "The numbers below"}}

var simulcastOptions = []Option{{"off", "One size"}, {"auto", "Up to three sizes, each half of the one before"}, {"own", "The sizes below"}}

func layerField(i int, what string) string { return "layer" + strconv.Itoa(i) + "." + what }

// Has says whether a value is among those of a field.
func (f Form) Has(field, value string) bool { return slices.Contains(f.Values[field], value) }
