package dashboard

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"amphi/server/account"
	"amphi/server/live"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/templates/dash"
)

// tryLimit is how long a storage may take until it has failed.
const tryLimit = 20 * time.Second

func (d *dashboard) destinations() {
	d.handle("GET /dashboard/apps/{app}/destinations", account.Viewer, func(v *visit) error {
		return v.destinationsPage(http.StatusOK, dash.DestinationForms{}, nil)
	})
	d.handle("POST /dashboard/apps/{app}/destinations/add", account.Developer, (*visit).addStream)
	d.handle("POST /dashboard/apps/{app}/destinations/stream", account.Developer, (*visit).saveStream)
	d.handle("POST /dashboard/apps/{app}/destinations/look", account.Viewer, func(v *visit) error {
		return v.destinationsPage(http.StatusOK, dash.DestinationForms{Stream: v.form()}, nil)
	})
	d.handle("POST /dashboard/apps/{app}/destinations/preview", account.Viewer, (*visit).previewStream)
	d.handle("GET /dashboard/apps/{app}/pictures/{key}", account.Viewer, (*visit).picture)
	d.handle("POST /dashboard/apps/{app}/destinations/record", account.Developer, (*visit).saveRecording)
	d.handle("POST /dashboard/apps/{app}/destinations/push", account.Developer, (*visit).savePush)
	d.handle("POST /dashboard/apps/{app}/destinations/push/delete", account.Developer, (*visit).deletePush)
	d.handle("POST /dashboard/apps/{app}/destinations/storage", account.Developer, (*visit).saveStorage)
}

// destinationsPage draws the page with forms as they were typed; those that were not are filled from the template.
func (v *visit) destinationsPage(status int, forms dash.DestinationForms, more func(*dash.Destinations)) error {
	t, err := v.template()
	if err != nil {
		return err
	}
	p := &t.Policy
	page := dash.Destinations{App: v.app(t), Streams: slices.Sorted(maps.Keys(p.Destinations.HLS))}
	for _, r := range dash.RolesByLevel(p) {
		if r.Level() == policy.Stage {
			page.Roles = append(page.Roles, r.Name)
		}
	}
	if page.Stream = forms.Stream.Get("stream"); page.Stream == "" {
		page.Stream = v.query("stream")
	}
	if p.Destinations.HLS[page.Stream] == nil && len(page.Streams) > 0 {
		page.Stream = page.Streams[0]
	}
	if d := p.Destinations.HLS[page.Stream]; d != nil {
		if forms.Stream.Values == nil {
			forms.Stream = streamForm(d)
		}
		page.Logo = d.Layout != nil && len(d.Layout.Overlays) > 0
		page.Preview = v.preview(t, &forms.Stream)
		room, err := v.Store.FirstRoom(v.ctx(), v.Workspace.ID, t.ID)
		if err == nil {
			page.Static = v.origin(v.r) + "/beam/" + v.Workspace.ID + "/" + room.ID + "/master.m3u8"
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if forms.Record.Values == nil {
		forms.Record = recordForm(p)
	}
	if forms.Store.Values == nil {
		forms.Store = storageForm(p.Settings.Recording)
	}
	if u := uploadOf(p); u != nil && u.Credentials.SecretKey != "" {
		page.Stored = "A secret is set. Leave this empty to keep it."
	}
	for _, name := range slices.Sorted(maps.Keys(p.Destinations.RTMP)) {
		r := p.Destinations.RTMP[name]
		push := dash.Push{Name: name}
		for _, text := range r.RTMPURLs {
			if u, err := url.Parse(text); err == nil {
				push.Hosts = append(push.Hosts, u.Host)
			}
		}
		if r.Width > 0 {
			push.Size = fmt.Sprintf("%d×%d", r.Width, r.Height)
		}
		page.Pushes = append(page.Pushes, push)
	}
	if more != nil {
		more(&page)
	}
	return v.pageStatus(status, "Destinations of "+p.Name, dash.PlaceApps, dash.DestinationsPage(page, forms))
}

// streamForm is a live stream as its form shows it.
func streamForm(d *policy.HLSDestination) dash.Form {
	l := d.Layout
	if l == nil {
		l = &policy.Layout{}
	}
	form := dash.Filled("stream", d.Name, "layout.mode", l.Mode, "layout.aspectRatio", l.AspectRatio, "layout.tileAspectRatio", l.TileAspectRatio,
		"layout.density", l.Density, "layout.tilesPerPage", filled(l.TilesPerPage), "layout.pageSeconds", filled(l.PageSeconds),
		"names", dash.OnOff(!l.HideName), "mutes", dash.OnOff(!l.HideMute), "hands", dash.OnOff(!l.HideHand), "levels", dash.OnOff(!l.HideAudioLevel),
		"reactions", dash.OnOff(!l.HideReactions), "layout.showChat", dash.OnOff(l.ShowChat),
		"layout.background", l.Background, "layout.tileColor", l.TileColor, "layout.audioLevelColor", l.AudioLevelColor,
		"videoFrameRate", filled(d.VideoFrameRate), "playlistType", d.PlaylistType, "numPlaylistSegments", filled(d.NumSegments),
		"maxDuration", filled(d.MaxDuration/60), "autoStopTimeout", filled(d.AutoStopTimeout), "static", dash.OnOff(d.EnableStaticURL),
		"metadata", dash.OnOff(d.MetadataInserted), "people", "3")
	// What is one word for the default too is shown as that.
	if l.Mode == "grid" {
		form.Values.Set("layout.mode", "")
	}
	if l.Density == "compact" {
		form.Values.Set("layout.density", "")
	}
	form.Values["layout.roles"] = l.Roles
	if len(l.Overlays) > 0 {
		form.Values.Set("logo.position", l.Overlays[0].Position)
		form.Values.Set("logo.width", filled(l.Overlays[0].Width))
	}
	if l.Slate != nil {
		form.Values.Set("slate.title", l.Slate.Title)
		form.Values.Set("slate.text", l.Slate.Text)
	}
	for i, layer := range d.Layers {
		at := fmt.Sprintf("layer%d.", i)
		for _, n := range []struct {
			name  string
			value int
		}{{"width", layer.Width}, {"height", layer.Height}, {"videoBitrate", layer.VideoBitrate}, {"audioBitrate", layer.AudioBitrate}} {
			form.Values.Set(at+n.name, filled(n.value))
		}
	}
	if r := d.Recording; r != nil {
		form.Values.Set("vod", dash.OnOff(r.HLSVOD))
		form.Values.Set("mp4", dash.OnOff(r.SingleFilePerLayer))
		form.Values.Set("thumbnails", dash.OnOff(r.Thumbnails != nil && r.Thumbnails.Enabled))
		form.Values.Set("recording.presignDuration", filled(r.PresignDuration/3600))
	}
	return form
}

// readStream changes a live stream by its form.
func (v *visit) readStream(form *dash.Form, d *policy.HLSDestination) {
	if d.Layout == nil {
		d.Layout = &policy.Layout{}
	}
	v.readLayout(form, d.Layout)
	d.VideoFrameRate, d.PlaylistType, d.NumSegments = number(form, "videoFrameRate"), form.Get("playlistType"), number(form, "numPlaylistSegments")
	d.MaxDuration, d.AutoStopTimeout = 60*number(form, "maxDuration"), number(form, "autoStopTimeout")
	d.EnableStaticURL, d.MetadataInserted = form.On("static"), form.On("metadata")
	var layers []policy.HLSLayer
	for i := range 4 {
		at := fmt.Sprintf("layer%d.", i)
		l := policy.HLSLayer{Width: number(form, at+"width"), Height: number(form, at+"height"), VideoBitrate: number(form, at+"videoBitrate"), AudioBitrate: number(form, at+"audioBitrate")}
		if l != (policy.HLSLayer{}) {
			layers = append(layers, l)
		}
	}
	if len(d.Layers) > 4 { // which the form does not show
		layers = append(layers, d.Layers[4:]...)
	}
	d.Layers = layers
	kept := form.On("vod") || form.On("mp4")
	switch {
	case !kept && d.Recording == nil:
	case d.Recording == nil:
		d.Recording = &policy.HLSRecording{}
		fallthrough
	default:
		r := d.Recording
		r.HLSVOD, r.SingleFilePerLayer, r.PresignDuration = form.On("vod"), form.On("mp4"), 3600*number(form, "recording.presignDuration")
		r.Layers = slices.DeleteFunc(slices.Clone(r.Layers), func(l policy.HLSLayer) bool {
			return !slices.ContainsFunc(layers, func(o policy.HLSLayer) bool { return o.Width == l.Width && o.Height == l.Height })
		})
		switch {
		case form.On("thumbnails") && r.Thumbnails == nil:
			r.Thumbnails = &policy.Thumbnails{Enabled: true}
		case r.Thumbnails != nil:
			r.Thumbnails.Enabled = form.On("thumbnails")
		}
	}
}

// readLayout changes a layout by its form. What the form does not have stays as it is.
func (v *visit) readLayout(form *dash.Form, l *policy.Layout) {
	l.Mode, l.AspectRatio, l.TileAspectRatio, l.Density = form.Get("layout.mode"), form.Get("layout.aspectRatio"), form.Get("layout.tileAspectRatio"), form.Get("layout.density")
	l.TilesPerPage, l.PageSeconds = number(form, "layout.tilesPerPage"), number(form, "layout.pageSeconds")
	l.HideName, l.HideMute, l.HideHand = !form.On("names"), !form.On("mutes"), !form.On("hands")
	l.HideAudioLevel, l.HideReactions, l.ShowChat = !form.On("levels"), !form.On("reactions"), form.On("layout.showChat")
	l.Background, l.TileColor, l.AudioLevelColor = form.Get("layout.background"), form.Get("layout.tileColor"), form.Get("layout.audioLevelColor")
	l.Roles = slices.Clone(form.Values["layout.roles"])
	l.Overlays = slices.Clone(l.Overlays)
	if image := v.uploaded(form, "logo"); image != "" {
		if len(l.Overlays) == 0 {
			l.Overlays = []policy.Overlay{{}}
		}
		l.Overlays[0].Image = image
	}
	if form.On("nologo") && len(l.Overlays) > 0 {
		l.Overlays = l.Overlays[1:]
	}
	if len(l.Overlays) > 0 {
		l.Overlays[0].Position, l.Overlays[0].Width = form.Get("logo.position"), number(form, "logo.width")
	}
	title, text := form.Get("slate.title"), form.Get("slate.text")
	if l.Slate == nil && title+text != "" {
		l.Slate = &policy.Slate{}
	}
	if l.Slate != nil {
		slate := *l.Slate
		slate.Title, slate.Text = title, text
		l.Slate = &slate
	}
}

// uploaded is a picture that came with a form; "" if there is none.
func (v *visit) uploaded(form *dash.Form, field string) policy.Image {
	file, _, err := v.r.FormFile(field)
	if err != nil {
		return ""
	}
	defer file.Close()
	data, err := io.ReadAll(file) // the body has a bound
	if err != nil || len(data) == 0 {
		return ""
	}
	kind := http.DetectContentType(data)
	if w, h := policy.ImageSize(data); w == 0 || h == 0 || kind != "image/png" && kind != "image/jpeg" {
		form.Refuse(field, "This is neither a PNG nor a JPEG.")
		return ""
	}
	return policy.Image("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))
}

// previewSide is the longer side of a preview, in pixels.
const previewSide = 960

// preview notes what a stream looks like by its form, for a picture of it.
func (v *visit) preview(t store.Template, form *dash.Form) dash.Preview {
	if v.AppParts.StillProblem != nil {
		if err := v.AppParts.StillProblem(); err != nil {
			return dash.Preview{Problem: "There is no preview: the program that draws live streams, amphi-compositor, is not beside the server."}
		}
	}
	var d policy.HLSDestination
	if known := t.Policy.Destinations.HLS[form.Get("stream")]; known != nil {
		d = *known
	}
	l := policy.Layout{}
	if d.Layout != nil {
		l = *d.Layout
	}
	d.Layout = &l
	look := dash.Form{Values: form.Values}
	v.readStream(&look, &d)
	// Only what belongs to the picture counts here, and the rules of templates are those of drawing too.
	trial := policy.Template{Roles: t.Policy.Roles, Destinations: policy.Destinations{HLS: map[string]*policy.HLSDestination{"preview": {Layout: &l}}}}
	trial.Complete()
	for _, p := range policy.Problems(trial.Check()) {
		if _, text, ok := p.Of("hls destination preview"); ok {
			return dash.Preview{Problem: "No preview of this: " + text + "."}
		}
	}
	size := policy.HLSLayer{Width: 1280, Height: 720}
	if len(d.Layers) > 0 && min(d.Layers[0].Width, d.Layers[0].Height) >= 16 && max(d.Layers[0].Width, d.Layers[0].Height) <= 1920 {
		size = d.Layers[0]
	}
	size = l.Shape(size)
	long := max(size.Width, size.Height)
	still := live.Still{Title: "Town hall", Layout: &l, Width: max(16, size.Width*previewSide/long&^1), Height: max(16, size.Height*previewSide/long&^1),
		People: max(0, min(number(&look, "people"), live.MaxSitters)), Screen: form.On("shares")}
	key, err := v.stills.add(still)
	if err != nil {
		return dash.Preview{Problem: "No preview of this."}
	}
	return dash.Preview{URL: "/dashboard/apps/" + t.ID + "/pictures/" + key}
}

func (v *visit) previewStream() error {
	t, err := v.template()
	if err != nil {
		return err
	}
	form := v.form()
	return v.part(dash.PreviewFrame(v.preview(t, &form)))
}

func (v *visit) picture() error {
	png, err := v.stills.get(v.ctx(), v.value("key"))
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "image/png")
	v.w.Header().Set("Cache-Control", "private, max-age=3600, immutable") // its address is a hash of what it shows
	_, _ = v.w.Write(png)                                                 // an error means that the visitor is gone
	return nil
}

func (v *visit) addStream() error {
	form := v.form()
	t, saved, err := v.changePolicy(&form, "", func(string) string { return "" }, func(t *policy.Template) {
		if len(t.Destinations.HLS) == 0 {
			k, _ := policy.KitOf("live-streaming")
			t.Destinations.HLS = k.Template(policy.Choices{}).Destinations.HLS
		}
	})
	if err != nil {
		return err
	}
	if !saved {
		return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Stream: form}, nil)
	}
	v.audit("destination.create", t.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID+"/destinations", "The app has a live stream now.")
}

// streamFields are the fields of problems with a live stream.
func streamFields(field string) string {
	switch {
	case field == "layers" || field == "number" || field == "videoBitrate" || field == "audioBitrate":
		return "layer"
	case strings.HasPrefix(field, "layout.overlays[0].width"):
		return "logo.width"
	case strings.HasPrefix(field, "layout.overlays[0]"):
		return "logo"
	}
	return field
}

func (v *visit) saveStream() error {
	form := v.form()
	name := form.Get("stream")
	missing := false
	t, saved, err := v.changePolicy(&form, "hls destination "+name, streamFields, func(t *policy.Template) {
		d := t.Destinations.HLS[name]
		if missing = d == nil; !missing {
			v.readStream(&form, d)
		}
	})
	switch {
	case err != nil:
		return err
	case missing:
		return errNoPage
	case !saved:
		return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Stream: form}, nil)
	}
	v.audit("destination.change", t.Policy.Name+": "+name)
	return v.done("/dashboard/apps/"+t.ID+"/destinations?stream="+url.QueryEscape(name), "Saved.")
}

func recordForm(t *policy.Template) dash.Form {
	c, _ := t.CompositeRecording("")
	return dash.Filled("record.size", fmt.Sprintf("%dx%d", c.Width, c.Height), "record.maxDuration", filled(int(c.MaxDuration.Minutes())),
		"record.presignDuration", filled(int(c.URLsFor.Hours())), "record.thumbnails", dash.OnOff(c.Thumbnails != nil && c.Thumbnails.Enabled))
}

// readSize reads a size such as 1280x720.
func readSize(form *dash.Form, field string) (w, h int) {
	a, b, _ := strings.Cut(form.Get(field), "x")
	w, _ = strconv.Atoi(a)
	h, _ = strconv.Atoi(b)
	if !policy.ValidComposition(w, h) {
		form.Refuse(field, "Choose a size.")
	}
	return w, h
}

func (v *visit) saveRecording() error {
	form := v.form()
	fields := func(field string) string { return "record." + field }
	t, saved, err := v.changePolicy(&form, "recordings", fields, func(t *policy.Template) {
		r := policy.Recording{Name: "default"}
		if len(t.Recordings) > 0 {
			r = t.Recordings[0]
		}
		if r.Role == "" {
			for _, role := range dash.RolesByLevel(t) {
				if r.Role == "" || role.Level() == policy.Floor {
					r.Role = role.Name // sees the stage
				}
			}
		}
		if r.Role == "" {
			form.Refuse("", "The app needs a role first.")
		}
		r.MaxDuration, r.PresignDuration = 60*number(&form, "record.maxDuration"), 3600*number(&form, "record.presignDuration")
		mode := policy.RecordingMode{Enabled: true}
		if r.Composite != nil && r.Composite.Browser != nil {
			mode = *r.Composite.Browser
		}
		mode.Width, mode.Height = readSize(&form, "record.size")
		r.Composite = &policy.CompositeModes{Browser: &mode}
		switch {
		case form.On("record.thumbnails") && r.Thumbnails == nil:
			r.Thumbnails = &policy.ThumbnailSetup{Enabled: true}
		case r.Thumbnails != nil:
			r.Thumbnails.Enabled = form.On("record.thumbnails")
		}
		t.Recordings = []policy.Recording{r}
	})
	if err != nil {
		return err
	}
	if !saved {
		return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Record: form}, nil)
	}
	v.audit("recording.change", t.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID+"/destinations", "The recording is saved.")
}

func (v *visit) savePush() error {
	form := v.form()
	name := form.Get("push.name")
	fields := func(field string) string {
		if field == "rtmpUrls" || field == "number" {
			return "push.rtmpUrls"
		}
		return ""
	}
	t, saved, err := v.changePolicy(&form, "rtmp destination "+name, fields, func(t *policy.Template) {
		r := &policy.RTMPDestination{Name: name, RTMPURLs: strings.Fields(form.Get("push.rtmpUrls")), RecordingEnabled: form.On("push.recorded")}
		r.Width, r.Height = readSize(&form, "push.size")
		if name == "" {
			form.Refuse("push.name", "A name is needed.")
		}
		if t.Destinations.RTMP[name] != nil {
			form.Refuse("push.name", "There is one of this name.")
			return
		}
		if len(r.RTMPURLs) == 0 {
			form.Refuse("push.rtmpUrls", "An address is needed.")
		}
		if t.Destinations.RTMP == nil {
			t.Destinations.RTMP = make(map[string]*policy.RTMPDestination)
		}
		t.Destinations.RTMP[name] = r
	})
	if err != nil {
		return err
	}
	if !saved {
		return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Push: form}, nil)
	}
	v.audit("destination.create", t.Policy.Name+": "+name)
	return v.done("/dashboard/apps/"+t.ID+"/destinations", name+" is added.")
}

func (v *visit) deletePush() error {
	form := v.form()
	name := form.Get("name")
	t, saved, err := v.changePolicy(&form, "", func(string) string { return "" }, func(t *policy.Template) { delete(t.Destinations.RTMP, name) })
	if err != nil {
		return err
	}
	if !saved {
		return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Push: form}, nil)
	}
	v.audit("destination.delete", t.Policy.Name+": "+name)
	return v.done("/dashboard/apps/"+t.ID+"/destinations", name+" is deleted.")
}

func uploadOf(t *policy.Template) *policy.Upload {
	if t.Settings.Recording == nil {
		return nil
	}
	return t.Settings.Recording.Upload
}

func storageForm(s *policy.RecordingSettings) dash.Form {
	if s == nil || s.Upload == nil {
		return dash.Filled("type", "")
	}
	u := s.Upload
	return dash.Filled("type", u.Type, "location", u.Location, "prefix", u.Prefix, "region", u.Options.Region, "key", u.Credentials.Key)
}

// readUpload reads a bucket; nil is the server's own place.
func readUpload(form *dash.Form, before *policy.Upload) *policy.Upload {
	if form.Get("type") == "" {
		return nil
	}
	u := &policy.Upload{Type: form.Get("type"), Location: form.Get("location"), Prefix: form.Get("prefix"),
		Options: policy.UploadOptions{Region: form.Get("region")}, Credentials: policy.Credentials{Key: form.Get("key"), SecretKey: form.Get("secret")}}
	if u.Credentials.SecretKey == "" {
		u.Credentials.SecretKey = policy.HiddenSecret
		u.Keep(before)
		if before == nil {
			u.Credentials.SecretKey = ""
		}
	}
	if u.Location == "" {
		form.Refuse("location", "Name the bucket.")
	}
	if u.Credentials.Key == "" {
		form.Refuse("key", "The key that opens the bucket is needed.")
	}
	if u.Credentials.SecretKey == "" {
		form.Refuse("secret", "The secret of the key is needed.")
	}
	return u
}

// saveStorage saves where recordings go, or tries it.
func (v *visit) saveStorage() error {
	form := v.form()
	t, err := v.template()
	if err != nil {
		return err
	}
	if form.Get("try") != "" {
		u := readUpload(&form, uploadOf(&t.Policy))
		if !form.Good() {
			return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Store: form}, nil)
		}
		ctx, cancel := context.WithTimeout(v.ctx(), tryLimit)
		defer cancel()
		tried := v.AppParts.TryStorage(ctx, u)
		v.audit("storage.try", t.Policy.Name)
		return v.destinationsPage(http.StatusOK, dash.DestinationForms{Store: form}, func(page *dash.Destinations) {
			page.Tried = "It works: a file was written, read and deleted. Nothing is saved yet."
			if tried != nil {
				page.TriedBad, page.Tried = true, "It does not work: "+tried.Error()
			}
		})
	}
	t, saved, err := v.changePolicy(&form, "settings", func(string) string { return "" }, func(t *policy.Template) {
		u := readUpload(&form, uploadOf(t))
		if t.Settings.Recording == nil && u == nil {
			return
		}
		if t.Settings.Recording == nil {
			t.Settings.Recording = &policy.RecordingSettings{}
		}
		if t.Settings.Recording.Upload = u; u == nil && !t.Settings.Recording.Enabled {
			t.Settings.Recording = nil
		}
	})
	if err != nil {
		return err
	}
	if !saved {
		return v.destinationsPage(http.StatusUnprocessableEntity, dash.DestinationForms{Store: form}, nil)
	}
	v.audit("storage.change", t.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID+"/destinations", "The storage is saved.")
}
