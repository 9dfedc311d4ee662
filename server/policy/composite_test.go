package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCompositeRecording(t *testing.T) {
	kit := StarterKit()
	if c, known := kit.CompositeRecording(""); !known || c != (Composite{Width: 1280, Height: 720}) {
		t.Errorf("%+v %v", c, known)
	}
	if err := json.Unmarshal([]byte(`{"recordings":[{"name":"default","role":"recorder","maxDuration":600,"presignDuration":3600,
		"thumbnails":{"enabled":true,"offsets":[3]},"compositeRecording":{"browserComposite":{"width":720,"height":1280,"autoStopTimeout":60}}}],
		"destinations":{"browserRecordings":{"old":{"width":640,"maxDuration":60,"autoStopTimeout":5,"presignDuration":7,"thumbnails":{"enabled":true}}}}}`), kit); err != nil {
		t.Fatal(err)
	}
	present := Composite{720, 1280, 10 * time.Minute, time.Minute, time.Hour, &Thumbnails{Enabled: true, Offsets: []int{3}}}
	for name, want := range map[string]Composite{"": present, "default": present,
		"old": {1280, 720, time.Minute, 5 * time.Second, 7 * time.Second, &Thumbnails{Enabled: true}}} {
		if c, known := kit.CompositeRecording(name); !known || !reflect.DeepEqual(c, want) {
			t.Errorf("%q: %+v %v", name, c, known)
		}
	}
	if _, known := kit.CompositeRecording("none"); known {
		t.Error("a configuration that nobody made")
	}
}

func TestThumbnails(t *testing.T) {
	check := func(th Thumbnails) string {
		kit := StarterKit()
		kit.Destinations.HLS["main"].Recording = &HLSRecording{Thumbnails: &th}
		kit.Recordings = []Recording{{Name: "r", Role: "r", Thumbnails: (*ThumbnailSetup)(&th)}}
		kit.Complete()
		if err := kit.Check(); err != nil {
			return err.Error()
		}
		return ""
	}
	if text := check(Thumbnails{Enabled: true, Width: 1280, Height: 720, Offsets: []int{0, 2, 60}, FPS: 1}); text != "" {
		t.Error(text)
	}
	for _, bad := range []Thumbnails{{Offsets: []int{-1}}, {Offsets: []int{maxRunSeconds + 1}}, {Offsets: make([]int, 101)}, {Width: 1}, {Width: 100}, {Width: 1921, Height: 100}} {
		if text := check(bad); strings.Count(text, "thumbnails.") < 2 { // in both places
			t.Errorf("%+v: %q", bad, text)
		}
	}
}
