package dashboard

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"amphi/server/account"
	"amphi/server/live"
	"amphi/server/policy"
	"amphi/server/store"
)

var pictureAddress = regexp.MustCompile(`src="(/dashboard/apps/[0-9a-f]+/pictures/[0-9a-f]+)"`)

// TestDestinations changes where media goes: what a form does not have stays, what is wrong is beside its field, and the
// preview is made of what was typed.
func TestDestinations(t *testing.T) {
	var drawn []live.Still
	var tried *policy.Upload
	var noProgram, broken error
	l := withApps(newLab(t), AppParts{
		Still: func(_ context.Context, s live.Still) ([]byte, error) {
			drawn = append(drawn, s)
			return []byte("a picture"), nil
		},
		StillProblem: func() error { return noProgram },
		TryStorage:   func(_ context.Context, u *policy.Upload) error { tried = u; return broken },
	})
	dev := l.member("ada@example.org", account.Admin)
	app := l.appOf(store.StarterSubdomain)
	at := "/dashboard/apps/" + app.ID + "/destinations"
	stream := func() *policy.HLSDestination { t := l.appOf(store.StarterSubdomain); return t.Policy.HLS("") }

	page := dev.get(at)
	dev.wants(page, 200, "Live stream main", "Active speaker", "/beam/"+l.workspace+"/")
	address := pictureAddress.FindStringSubmatch(page.body)
	if address == nil {
		t.Fatalf("no preview in\n%s", page.body)
	}
	if got := dev.get(address[1]); got.StatusCode != 200 || got.body != "a picture" || got.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the preview: %d %q", got.StatusCode, got.body)
	}
	if len(drawn) != 1 || drawn[0].Width != 960 || drawn[0].Height != 540 || drawn[0].People != 3 {
		t.Errorf("drawn %+v", drawn)
	}
	dev.wants(dev.get(address[1]+"00"), 404)

	// What was typed is seen before it is saved.
	phone := []string{"stream", "main", "layout.aspectRatio", "9:16", "layout.tileAspectRatio", "1:1", "people", "2", "shares", "on", "names", "on", "slate.title", markup}
	part := dev.post(at+"/preview", phone...)
	dev.wants(part, 200, "<img")
	dev.get(pictureAddress.FindStringSubmatch(part.body)[1])
	if s := drawn[len(drawn)-1]; s.Width != 540 || s.Height != 960 || s.People != 2 || !s.Screen || s.Layout.TileAspectRatio != "1:1" || s.Layout.HideName || !s.Layout.HideMute || s.Layout.Slate.Title != markup {
		t.Errorf("drawn %+v of %+v", s, s.Layout)
	}
	dev.wants(dev.post(at+"/look", phone...), 200, "pictures/", "9:16")
	dev.wants(dev.post(at+"/preview", "stream", "main", "layout.background", "red"), 200, "No preview of this", "#0b0f1a")
	if stream().Layout != nil {
		t.Error("a preview has changed the stream")
	}
	noProgram = errors.New("no program")
	dev.wants(dev.get(at), 200, "There is no preview: the program that draws live streams")
	noProgram = nil

	dev.wants(dev.post(at+"/stream", "stream", "main", "layer0.width", "1281", "layer0.height", "720", "videoFrameRate", "fast", "layout.background", "red", "numPlaylistSegments", "2", "slate.title", markup), 422,
		`id="layer-problem"`, `id="videoFrameRate-problem"`, `value="fast"`, `id="layout.background-problem"`, `id="numPlaylistSegments-problem"`)
	dev.wants(dev.post(at+"/stream", "stream", "main", "layout.mode", "active-speaker", "layout.aspectRatio", "9:16", "names", "on", "layout.roles", "broadcaster", "layer0.width", "1280", "layer0.height", "720", "layer0.videoBitrate", "2500", "layer0.audioBitrate", "128",
		"layer1.width", "640", "layer1.height", "360", "layer1.videoBitrate", "500", "layer1.audioBitrate", "64", "videoFrameRate", "25", "playlistType", "event", "maxDuration", "60", "static", "on", "vod", "on", "thumbnails", "on", "recording.presignDuration", "2"), 303)
	d := stream()
	if d.Layout.Mode != "active-speaker" || len(d.Layers) != 2 || d.PlaylistType != "event" || d.MaxDuration != 3600 || !d.EnableStaticURL || !d.Recording.HLSVOD || d.Recording.PresignDuration != 7200 || !d.Recording.Thumbnails.Enabled || !d.Layout.HideMute || d.Layout.HideName {
		t.Errorf("saved %+v, %+v", d, d.Layout)
	}
	form := streamForm(d)
	var again policy.HLSDestination
	(&visit{r: httptest.NewRequest(http.MethodPost, "/", nil)}).readStream(&form, &again)
	if again.Layout.Mode != d.Layout.Mode || len(again.Layers) != 2 || again.MaxDuration != d.MaxDuration || !form.Good() {
		t.Errorf("the form reads as %+v, %v", again, form.Problems)
	}

	// A logo comes as a file.
	logo := func(data []byte) shown {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		w.WriteField("stream", "main")
		w.WriteField("layer0.width", "1280")
		w.WriteField("layer0.height", "720")
		w.WriteField("logo.position", "bottom-left")
		file, _ := w.CreateFormFile("logo", markup+".png")
		file.Write(data)
		w.Close()
		r := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+at+"/stream", &body)
		r.Header.Set("Content-Type", w.FormDataContentType())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return dev.do(r)
	}
	dev.wants(logo([]byte("no picture")), 422, `id="logo-problem"`)
	var picture bytes.Buffer
	png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 8, 8)))
	dev.wants(logo(picture.Bytes()), 303)
	if o := stream().Layout.Overlays; len(o) != 1 || !bytes.Equal(o[0].Image.Data(), picture.Bytes()) || o[0].Position != "bottom-left" {
		t.Errorf("overlays %+v", o)
	}
	dev.wants(dev.get(at), 200, "Take the logo away")
	dev.wants(dev.post(at+"/stream", "stream", "main", "layer0.width", "1280", "layer0.height", "720", "nologo", "on"), 303)
	if o := stream().Layout.Overlays; len(o) != 0 {
		t.Errorf("overlays %+v", o)
	}

	// Recording and pushes.
	dev.wants(dev.post(at+"/record", "record.size", "720x1280", "record.maxDuration", "30", "record.thumbnails", "on"), 303)
	p := l.appOf(store.StarterSubdomain).Policy
	if c, _ := p.CompositeRecording(""); c.Width != 720 || c.Height != 1280 || c.MaxDuration.Minutes() != 30 || !c.Thumbnails.Enabled {
		t.Errorf("recorded as %+v", c)
	}
	dev.wants(dev.post(at+"/record", "record.size", markup), 422, `id="record.size-problem"`)
	dev.wants(dev.post(at+"/push", "push.name", "social", "push.rtmpUrls", "http://no", "push.size", "1280x720"), 422, `id="push.rtmpUrls-problem"`, "http://no")
	dev.wants(dev.post(at+"/push", "push.name", "social", "push.rtmpUrls", "rtmp://a.example.com/live/secret-key\nrtmps://b.example.com/live/k", "push.size", "1280x720"), 303)
	if page := dev.get(at); !strings.Contains(page.body, "a.example.com") || strings.Contains(page.body, "secret-key") {
		t.Error("of pushes the hosts are shown, and no keys")
	}
	dev.wants(dev.post(at+"/push/delete", "name", "social"), 303)

	// Storage: a secret is kept, never shown, and what is tried is what was typed.
	dev.wants(dev.post(at+"/storage", "type", "s3"), 422, `id="location-problem"`, `id="key-problem"`, `id="secret-problem"`)
	dev.wants(dev.post(at+"/storage", "type", "s3", "location", "talks", "key", "AK", "secret", "the secret"), 303)
	if page := dev.get(at); strings.Contains(page.body, "the secret") || !strings.Contains(page.body, "Leave this empty to keep it") {
		t.Error("the secret is shown, or that there is one is not")
	}
	broken = errors.New("writing: " + markup)
	dev.wants(dev.post(at+"/storage", "type", "s3", "location", "other", "key", "AK", "try", "1"), 200, "It does not work", `value="other"`)
	if tried == nil || tried.Location != "other" || tried.Credentials.SecretKey != "the secret" {
		t.Errorf("tried %+v", tried)
	}
	broken = nil
	dev.wants(dev.post(at+"/storage", "type", "", "try", "1"), 200, "It works")
	if u := l.appOf(store.StarterSubdomain).Policy.Settings.Recording.Upload; tried != nil || u.Location != "talks" || u.Credentials.SecretKey != "the secret" {
		t.Errorf("tried %+v, kept %+v", tried, u)
	}
	dev.wants(dev.post(at+"/storage", "type", ""), 303)
	if s := l.appOf(store.StarterSubdomain).Policy.Settings.Recording; s != nil {
		t.Errorf("kept %+v", s)
	}
}

// TestBrand gives an app a name and a logo.
func TestBrand(t *testing.T) {
	l := withApps(newLab(t), AppParts{})
	dev := l.member("ada@example.org", account.Admin)
	at := "/dashboard/apps/" + l.appOf(store.StarterSubdomain).ID + "/brand"
	dev.wants(dev.post(at, "name", strings.Repeat("x", 61)), 422, `id="name-problem"`, "has 61 characters")
	dev.wants(dev.post(at, "name", markup), 303)
	if b := l.appOf(store.StarterSubdomain).Policy.Settings.Brand; b == nil || b.Name != markup {
		t.Errorf("brand %+v", b)
	}
	dev.wants(dev.get(at), 200, "&lt;img src=x")
	dev.wants(dev.post(at, "name", ""), 303)
	if b := l.appOf(store.StarterSubdomain).Policy.Settings.Brand; b != nil {
		t.Errorf("brand %+v", b)
	}
}
