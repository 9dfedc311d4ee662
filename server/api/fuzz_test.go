package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"amphi/server/store"
)

// FuzzInputs gives the same bytes to every endpoint, as its body and as its query: each is understood, or refused with
// a status and a reason.
func FuzzInputs(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","roles":{"host":{"publishParams":{"allowed":["audio"],"simulcast":{"video":{"layers":[{"rid":"f"},{}]}}},"permissions":{"hlsStreaming":null}}},"settings":{"recording":{"upload":{"type":"s3","credentials":{"secret":"x"}}}}}`,
		`{"rtmpDestinations":{"a":null},"hlsDestinations":{"b":{"layers":[{"width":-2,"height":1e9}],"recording":{}}},"transcriptions":{"c":{"summary":{"temperature":1e308}}}}`,
		`[{"name":"x","compositeRecording":{"browserComposite":null}},null]`,
		`{"message":"x","peerId":"y","payload":"\ud800","duration":-1,"operation":"start","rtmp_urls":[":"],"code":"a","enabled":true}`,
		`{"title":"q","questions":[{"type":"single-choice","options":[null],"answer":{"options":[1]}}]}`,
		"limit=10&start=65b0c1d2e3f405162738495a&enabled=1&after=2024-01-24T08:12:50+01:00&type=a&type=b",
		"\\u0000", `{"a":"\u0000"}`, `{"a":"\\u0000"}`, "null", "", "[]", "%zz=%00",
	} {
		f.Add(seed)
	}
	endpoints := (&API{}).endpoints()
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range endpoints {
			r := httptest.NewRequest(e.method, "/", strings.NewReader(text))
			r.URL = &url.URL{Path: "/", RawQuery: text}
			in := reflect.New(e.in).Interface()
			err := read(r, in)
			if err == nil {
				continue
			}
			if refusal := asError(err); refusal == errInternal || refusal.Code == 0 || refusal.Message == "" {
				t.Errorf("%s %s: %q: %v", e.method, e.path, text, err)
			}
		}
	})
}

// FuzzTemplates: whatever a template is made of is refused with a reason, or makes a template that is right, stays as it
// is when it is shown and given back, and shows no secret.
func FuzzTemplates(f *testing.F) {
	f.Add(`{"roles":{"a":{"subscribeParams":{"subscribeToRoles":["a"]}},"b":null},"settings":{"recording":{"upload":{"type":"s3","location":"b","credentials":{"secretKey":"hush"}}}}}`)
	f.Add(`{"destinations":{"hlsDestinations":{"m":{"layers":[{"width":640,"height":360},{}]}}},"plugins":{"x":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in templateInput
		if err := decodeJSON([]byte(text), &in, false); err != nil {
			return
		}
		var made store.Template
		if err := in.apply(&made); err != nil {
			if refusal := asError(err); refusal.Code != http.StatusBadRequest || len(refusal.Details) == 0 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		shown := mustJSON(showTemplate(made))
		if made.Policy.Settings.Recording != nil && made.Policy.Settings.Recording.Upload != nil {
			secret := made.Policy.Settings.Recording.Upload.Credentials.SecretKey
			if got := showTemplate(made).Settings.Recording.Upload.Credentials.SecretKey; secret != "" && got != "********" {
				t.Errorf("%q shows %q", text, got)
			}
		}
		var back templateInput
		if err := decodeJSON([]byte(shown), &back, false); err != nil {
			t.Fatalf("%q: %s: %v", text, shown, err)
		}
		again := made
		if err := back.apply(&again); err != nil {
			t.Fatalf("%q: %s: %v", text, shown, err)
		}
		if got := mustJSON(showTemplate(again)); got != shown {
			t.Errorf("%q\n%s\n%s", text, shown, got)
		}
		if made.Policy.Settings.Recording != nil && mustJSON(again.Policy.Settings) != mustJSON(made.Policy.Settings) {
			t.Errorf("%q: the secret is lost", text)
		}
	})
}
