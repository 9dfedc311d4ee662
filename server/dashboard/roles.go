package dashboard

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/templates/dash"
)

func (d *dashboard) roles() {
	d.handle("GET /dashboard/apps/{app}/roles", account.Viewer, func(v *visit) error {
		t, err := v.template()
		if err != nil {
			return err
		}
		return v.page("Roles of "+t.Policy.Name, dash.PlaceApps, dash.Roles(v.app(t), dash.RolesByLevel(&t.Policy)))
	})
	d.handle("GET /dashboard/apps/{app}/roles/new", account.Developer, func(v *visit) error {
		t, err := v.template()
		if err != nil {
			return err
		}
		return v.page("Add a role", dash.PlaceApps, dash.NewRole(v.rolePage(t, ""), dash.Filled("start", "floor")))
	})
	d.handle("POST /dashboard/apps/{app}/roles/new", account.Developer, (*visit).addRole)
	d.handle("GET /dashboard/apps/{app}/roles/{role}", account.Viewer, func(v *visit) error {
		t, role, err := v.role()
		if err != nil {
			return err
		}
		return v.page(role.Name, dash.PlaceApps, dash.EditRole(v.rolePage(t, role.Name), roleForm(role)))
	})
	d.handle("POST /dashboard/apps/{app}/roles/{role}", account.Developer, (*visit).saveRole)
	d.handle("POST /dashboard/apps/{app}/roles/{role}/level", account.Viewer, func(v *visit) error {
		form := v.form()
		return v.part(dash.RoleLevel(readRole(&form).Level()))
	})
	d.handle("POST /dashboard/apps/{app}/roles/{role}/delete", account.Developer, (*visit).deleteRole)
}

// role is that of the path, and its template.
func (v *visit) role() (store.Template, *policy.Role, error) {
	t, err := v.template()
	if err != nil {
		return t, nil, err
	}
	role := t.Policy.Roles[v.value("role")]
	if role == nil {
		return t, nil, errNoPage
	}
	return t, role, nil
}

func (v *visit) rolePage(t store.Template, name string) dash.RolePage {
	p := dash.RolePage{App: v.app(t), Role: name, Level: policy.Gallery}
	for _, r := range dash.RolesByLevel(&t.Policy) {
		p.Others = append(p.Others, r.Name)
		if r.Name == name {
			p.Level = r.Level()
		}
	}
	return p
}

// newRole is a role to begin with.
func newRole(t *policy.Template, name, start string) *policy.Role {
	k, _ := policy.KitOf("webinar")
	from := map[string]string{"stage": "panelist", "floor": "attendee", "gallery": "viewer"}[start]
	r := k.Template(policy.Choices{}).Roles[from]
	if other, ok := strings.CutPrefix(start, "="); ok {
		if copied := t.Roles[other]; copied != nil {
			same := *copied
			r = &same
		}
	} else if r != nil && r.Level() != policy.Gallery {
		r.SubscribeParams.SubscribeToRoles = []string{}
		for _, o := range dash.RolesByLevel(t) {
			if o.Level() == policy.Stage {
				r.SubscribeParams.SubscribeToRoles = append(r.SubscribeParams.SubscribeToRoles, o.Name)
			}
		}
		if start == "stage" {
			r.SubscribeParams.SubscribeToRoles = append(r.SubscribeParams.SubscribeToRoles, name)
		}
	}
	if r == nil {
		r = &policy.Role{}
	}
	r.Name = name
	return r
}

func (v *visit) addRole() error {
	form := v.form()
	name := form.Get("name")
	same := func(field string) string { return field }
	t, saved, err := v.changePolicy(&form, "role "+name, same, func(t *policy.Template) {
		if name == "" {
			form.Refuse("name", "A name is needed.")
			return
		}
		if t.Roles[name] != nil {
			form.Refuse("name", "Another role has this name.")
			return
		}
		t.Roles[name] = newRole(t, name, form.Get("start"))
	})
	if err != nil {
		return err
	}
	if !saved {
		return v.refused("Add a role", dash.PlaceApps, dash.NewRole(v.rolePage(t, ""), form))
	}
	if err := v.completeCodes(t); err != nil {
		return err
	}
	v.audit("role.create", t.Policy.Name+": "+name)
	return v.done("/dashboard/apps/"+t.ID+"/roles/"+url.PathEscape(name), "The role is there. Say what it may do.")
}

func (v *visit) saveRole() error {
	form := v.form()
	old, name := v.value("role"), form.Get("name")
	missing := false
	same := func(field string) string {
		if strings.HasPrefix(field, "simulcast.") {
			return "simulcast.video"
		}
		return field
	}
	role := readRole(&form)
	t, saved, err := v.changePolicy(&form, "role "+name, same, func(t *policy.Template) {
		before := t.Roles[old]
		if missing = before == nil; missing {
			form.Refuse("", "The role is gone.")
			return
		}
		if name == "" {
			form.Refuse("name", "A name is needed.")
			return
		}
		if name != old && t.Roles[name] != nil {
			form.Refuse("name", "Another role has this name.")
			return
		}
		// What the form does not have stays as it is.
		if s := before.PublishParams.Simulcast; s != nil && role.PublishParams.Simulcast != nil {
			role.PublishParams.Simulcast.Screen = s.Screen
		}
		delete(t.Roles, old)
		t.Roles[name] = role
		if name != old {
			t.RenameRole(old, name)
		}
	})
	switch {
	case err != nil:
		return err
	case missing:
		return errNoPage
	case !saved:
		p := v.rolePage(t, old)
		p.Level = role.Level()
		return v.refused(old, dash.PlaceApps, dash.EditRole(p, form))
	}
	if name != old {
		if err := v.completeCodes(t); err != nil {
			return err
		}
	}
	v.audit("role.change", t.Policy.Name+": "+name)
	return v.done("/dashboard/apps/"+t.ID+"/roles/"+url.PathEscape(name), "Saved.")
}

func (v *visit) deleteRole() error {
	name := v.value("role")
	form := v.form()
	missing := false
	t, saved, err := v.changePolicy(&form, "", func(string) string { return "" }, func(t *policy.Template) {
		missing = t.Roles[name] == nil
		delete(t.Roles, name)
		t.RenameRole(name, "")
	})
	switch {
	case err != nil:
		return err
	case missing:
		return errNoPage
	case !saved:
		return v.refused("Roles of "+t.Policy.Name, dash.PlaceApps, dash.Roles(v.app(t), dash.RolesByLevel(&t.Policy)))
	}
	v.audit("role.delete", t.Policy.Name+": "+name)
	return v.done("/dashboard/apps/"+t.ID+"/roles", name+" is deleted.")
}

// number reads a whole number of a form; an empty field is 0.
func number(form *dash.Form, field string) int {
	text := form.Get(field)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		form.Refuse(field, "This is not a whole number.")
	}
	return n
}

// filled is a number as a form shows it; 0 is nothing.
func filled(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// roleForm is a role as its form shows it.
func roleForm(r *policy.Role) dash.Form {
	p, s := r.PublishParams, r.SubscribeParams
	form := dash.Filled("name", r.Name, "priority", strconv.Itoa(r.Priority), "maxPeerCount", strconv.Itoa(r.MaxPeerCount), "maxSubsBitRate", strconv.Itoa(s.MaxSubsBitRate))
	set := func(field, value string) { form.Values.Set(field, value) }
	for _, what := range p.Allowed {
		set(string(what), "on")
	}
	for _, name := range s.SubscribeToRoles {
		form.Values.Add("subscribeToRoles", name)
	}
	for _, right := range dash.Rights {
		set(right.Name, dash.OnOff(*right.Of(&r.Permissions)))
	}
	d := policy.SubscribeDegradation{PacketLossThreshold: 50, DegradeGracePeriodSeconds: 1, RecoverGracePeriodSeconds: 4}
	if s.SubscribeDegradation != nil {
		d = *s.SubscribeDegradation
		set("degrade", "on")
	}
	set("subscribeDegradation.packetLossThreshold", strconv.Itoa(d.PacketLossThreshold))
	set("subscribeDegradation.degradeGracePeriodSeconds", strconv.Itoa(d.DegradeGracePeriodSeconds))
	set("subscribeDegradation.recoverGracePeriodSeconds", strconv.Itoa(d.RecoverGracePeriodSeconds))
	set("audio.bitRate", "32")
	if p.Audio != nil {
		set("audio.bitRate", strconv.Itoa(p.Audio.BitRate))
	}
	video, screen := policy.VideoPreset(360, 16, 9), policy.VideoParams{BitRate: 1500, FrameRate: 15, Width: 1280, Height: 720}
	if p.Video != nil {
		video = *p.Video
	}
	if p.Screen != nil {
		screen = *p.Screen
	}
	numbers := func(of string, v policy.VideoParams) {
		set(of+".width", strconv.Itoa(v.Width))
		set(of+".height", strconv.Itoa(v.Height))
		set(of+".frameRate", strconv.Itoa(v.FrameRate))
		set(of+".bitRate", filled(v.BitRate))
	}
	numbers("video", video)
	numbers("screen", screen)
	for _, o := range dash.VideoOptions() {
		if preset, ok := videoPreset(o.Value); ok && same(preset, video) {
			set("video.preset", o.Value)
		}
	}
	for _, o := range dash.ScreenOptions {
		if preset, ok := screenPreset(o.Value); ok && same(preset, screen) {
			set("screen.preset", o.Value)
		}
	}
	set("simulcast", "off")
	layers := policy.SimulcastOf(video).Layers
	if p.Simulcast != nil && len(p.Simulcast.Video.Layers) > 0 {
		set("simulcast", "own")
		if slices.Equal(p.Simulcast.Video.Layers, layers) {
			set("simulcast", "auto")
		}
		layers = p.Simulcast.Video.Layers
	}
	for i, l := range layers {
		at := fmt.Sprintf("layer%d.", i)
		set(at+"scale", strconv.FormatFloat(l.ScaleResolutionDownBy, 'g', -1, 64))
		set(at+"bitrate", strconv.Itoa(l.MaxBitrate))
		set(at+"framerate", strconv.Itoa(l.MaxFramerate))
	}
	return form
}

// same says whether two qualities are one; the codec is not asked for.
func same(a, b policy.VideoParams) bool {
	a.Codec, b.Codec = "", ""
	return a == b
}

// videoPreset reads a value of dash.VideoOptions.
func videoPreset(text string) (policy.VideoParams, bool) {
	var height, w, h int
	if _, err := fmt.Sscanf(text, "%d:%d:%d", &height, &w, &h); err != nil || !slices.Contains(policy.VideoHeights, height) || h == 0 {
		return policy.VideoParams{}, false
	}
	return policy.VideoPreset(height, w, h), true
}

// screenPreset reads a value of dash.ScreenOptions.
func screenPreset(text string) (policy.VideoParams, bool) {
	switch text {
	case "720":
		return policy.VideoParams{BitRate: 1500, Codec: "vp8", FrameRate: 15, Width: 1280, Height: 720}, true
	case "1080":
		return policy.VideoParams{BitRate: 1500, Codec: "vp8", FrameRate: 15, Width: 1920, Height: 1080}, true
	}
	return policy.VideoParams{}, false
}

// readRole reads the form of a role.
func readRole(form *dash.Form) *policy.Role {
	r := &policy.Role{Name: form.Get("name"), Priority: number(form, "priority"), MaxPeerCount: number(form, "maxPeerCount")}
	p := &r.PublishParams
	p.Allowed = []policy.Publishable{}
	for _, what := range []policy.Publishable{policy.PublishAudio, policy.PublishVideo, policy.PublishScreen} {
		if form.On(string(what)) {
			p.Allowed = append(p.Allowed, what)
		}
	}
	if form.On("audio") {
		p.Audio = &policy.AudioParams{BitRate: number(form, "audio.bitRate"), Codec: "opus"}
	}
	numbers := func(of string) policy.VideoParams {
		return policy.VideoParams{BitRate: number(form, of+".bitRate"), Codec: "vp8", FrameRate: number(form, of+".frameRate"),
			Width: number(form, of+".width"), Height: number(form, of+".height")}
	}
	if form.On("video") {
		video, ok := videoPreset(form.Get("video.preset"))
		if !ok {
			video = numbers("video")
		}
		p.Video = &video
		switch form.Get("simulcast") {
		case "auto":
			p.Simulcast = &policy.Simulcast{Video: policy.SimulcastOf(video)}
		case "own":
			p.Simulcast = &policy.Simulcast{Video: readLayers(form)}
		}
	}
	if form.On("screen") {
		screen, ok := screenPreset(form.Get("screen.preset"))
		if !ok {
			screen = numbers("screen")
		}
		p.Screen = &screen
	}
	s := &r.SubscribeParams
	s.SubscribeToRoles = append([]string{}, form.Values["subscribeToRoles"]...)
	s.MaxSubsBitRate = number(form, "maxSubsBitRate")
	if form.On("degrade") {
		s.SubscribeDegradation = &policy.SubscribeDegradation{
			PacketLossThreshold:       number(form, "subscribeDegradation.packetLossThreshold"),
			DegradeGracePeriodSeconds: number(form, "subscribeDegradation.degradeGracePeriodSeconds"),
			RecoverGracePeriodSeconds: number(form, "subscribeDegradation.recoverGracePeriodSeconds"),
		}
	}
	for _, right := range dash.Rights {
		*right.Of(&r.Permissions) = form.On(right.Name)
	}
	return r
}

// readLayers reads the sizes of simulcast; one without a divisor is not there.
func readLayers(form *dash.Form) (s policy.SimulcastLayers) {
	for i := range 3 {
		at := fmt.Sprintf("layer%d.", i)
		if form.Get(at+"scale") == "" {
			continue
		}
		scale, err := strconv.ParseFloat(form.Get(at+"scale"), 64)
		if err != nil || !(scale >= 1 && scale <= 12) { // also what is Not a Number
			form.Refuse(at+"scale", "A number from 1 to 12.")
			scale = 1
		}
		s.Layers = append(s.Layers, policy.SimulcastLayer{RID: "fhq"[i : i+1], ScaleResolutionDownBy: scale,
			MaxBitrate: number(form, at+"bitrate"), MaxFramerate: number(form, at+"framerate")})
	}
	return s
}
