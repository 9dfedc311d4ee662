package hls

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTimedMetadata(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second)
	start := testStart.Add(3 * time.Second)
	const payload = `poll "p1" – ü 🎉`
	if err := s.AddMetadata(Metadata{ID: "md-1", Payload: payload, Start: start, Duration: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	small.write(t, s, 3*time.Second, 4*time.Second)
	master, _, _ := lists(t, s) // they still can be read
	tag := regexp.MustCompile(`(?m)^#EXT-X-DATERANGE:ID="md-1",START-DATE="([^"]+)",DURATION=5,X-100MSLIVE-PAYLOAD="([A-Za-z0-9+/=]+)"$`)
	for _, uri := range []string{master.Variants[0].URI, master.Variants[0].URI + "?_HLS_skip=YES"} {
		found := tag.FindAllSubmatch(body(t, s, "/"+uri), -1)
		if len(found) != 1 {
			t.Fatalf("%s has it %d times", uri, len(found))
		}
		if at, err := time.Parse(time.RFC3339Nano, string(found[0][1])); err != nil || !at.Equal(start) {
			t.Errorf("starts at %s, want %v", found[0][1], start)
		}
		text, err := base64.StdEncoding.DecodeString(string(found[0][2]))
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]string
		if err := json.Unmarshal(text, &v); err != nil || v["payload"] != payload || v["hms_version"] != "v1.1" || v["end_date"] == "" {
			t.Errorf("%s: %v", text, err)
		}
		if strings.ContainsFunc(string(text), func(r rune) bool { return r > 126 }) {
			t.Errorf("%s is not ASCII", text)
		}
	}

	// It leaves with its segment.
	small.write(t, s, 4*time.Second, 16*time.Second)
	if list := body(t, s, "/"+master.Variants[0].URI); strings.Contains(string(list), "DATERANGE") {
		t.Errorf("still there:\n%s", list)
	}
}

func TestMetadataIsBounded(t *testing.T) {
	s := newTestStream(t)
	for range maxMetadata {
		if err := s.AddMetadata(Metadata{ID: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddMetadata(Metadata{ID: "x"}); !errors.Is(err, ErrTooMuchMetadata) {
		t.Error(err)
	}
	s.Close()
	if err := s.AddMetadata(Metadata{ID: "x"}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
