package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
	"amphi/server/recording/recordingtest"
)

// recorded is what a webhook says of a recording.
type recorded struct {
	BeamID string `json:"beam_id"`
	ZIP    string `json:"hls_vod_recording_presigned_url"`
	Files  []struct {
		URL string `json:"recording_presigned_url"`
	} `json:"recording_single_files"`
}

// TestRecording records two live streams: the server of the first is killed, and the next one finishes its recording;
// the second ends by itself. Their webhooks bring a ZIP, which plays from a server of files, and an MP4, which plays in
// the browser.
func TestRecording(t *testing.T) {
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	told := make(chan recorded, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data recorded
		}
		if json.NewDecoder(r.Body).Decode(&e) == nil && e.Type == "hls.recording.success" {
			told <- e.Data
		}
	}))
	defer hook.Close()
	cfg := testserver.Config{DataDir: t.TempDir(), Args: []string{"--webhook-url", hook.URL, "--webhook-allow-networks", "127.0.0.0/8"}}
	var server *testserver.Server
	start := func() {
		t.Helper()
		var err error
		if server, err = testserver.Start(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	start()
	room, err := server.NewRoom(t.Context(), "recording", "")
	if err != nil {
		t.Fatal(err)
	}
	record := func() {
		t.Helper()
		in := map[string]any{"recording": map[string]any{"hls_vod": true, "single_file_per_layer": true}}
		if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/start", in, nil); err != nil {
			t.Fatal(err)
		}
		var list struct{ Data []struct{ Status string } }
		for end := time.Now().Add(20 * time.Second); len(list.Data) == 0; time.Sleep(100 * time.Millisecond) {
			if err := server.API(t.Context(), http.MethodGet, "/v2/live-streams?status=running&room_id="+room.ID, nil, &list); err != nil || time.Now().After(end) {
				t.Fatalf("no live stream: %v", err)
			}
		}
		time.Sleep(5 * time.Second)
	}
	hear := func() recorded {
		t.Helper()
		select {
		case r := <-told:
			return r
		case <-time.After(30 * time.Second):
			t.Fatalf("no webhook of the recording\n%s", server.Log())
			return recorded{}
		}
	}

	record()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	start()
	defer func() { testserver.End(t, server) }()
	first := hear()
	// The first picture comes some 300 ms after the start; the last whole second may be a second ago.
	if n := decoded(t, recordingtest.Fetch(t, first.Files[0].URL)); n < 90 {
		t.Errorf("%d pictures of five seconds before the server was killed", n)
	}

	record()
	if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/stop", nil, nil); err != nil {
		t.Fatal(err)
	}
	second := hear()
	if second.BeamID == first.BeamID {
		t.Error("the same recording again")
	}
	vod := recordingtest.Unzip(t, recordingtest.Fetch(t, second.ZIP))
	if n := decoded(t, vod); n < 120 {
		t.Errorf("%d pictures of the VOD", n)
	}

	browser, err := testbrowser.Start(t.Context(), testbrowser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	player := servePlayer(t)
	for name, script := range map[string]string{
		"mp4": "video.src = " + strconv.Quote(second.Files[0].URL),
		"vod": "play(" + strconv.Quote(vod) + ")",
	} {
		page, err := browser.Open(testbrowser.PageConfig{})
		if err != nil {
			t.Fatal(err)
		}
		testserver.KeepPage(t, name, page)
		if err := page.Goto(player); err != nil {
			t.Fatal(err)
		}
		if err := page.Eval(script+"; true", nil); err != nil {
			t.Fatal(err)
		}
		if err := page.Wait("video.videoWidth > 0 && video.duration > 4 && video.duration < 60 && video.currentTime > 1", 20*time.Second); err != nil {
			t.Errorf("%s does not play: %v", name, err)
		}
		if err := page.Eval("video.currentTime = video.duration - 1; true", nil); err != nil {
			t.Fatal(err)
		}
		if err := page.Wait("video.ended", 20*time.Second); err != nil {
			t.Errorf("%s does not play to its end: %v", name, err)
		}
		var problems string
		if err := page.Eval("errors.join() + (video.error ? video.error.message : '')", &problems); err != nil || problems != "" {
			t.Errorf("%s: %s %v", name, problems, err)
		}
	}
}

// decoded counts the pictures that come out of a file or an address, without an error.
func decoded(t *testing.T, source string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=nb_read_frames", "-of", "default=nk=1:nw=1", source).CombinedOutput()
	n, bad := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0]))
	if err != nil || bad != nil {
		t.Errorf("%s: %v %s", source, err, out)
	}
	return n
}
