package rtmp

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/e2e/testserver"
	"amphi/server/recording/recordingtest"
)

// told is what webhooks tell of jobs.
type told struct {
	mu    sync.Mutex
	types map[string][]string // by the job's id, in their order
	files map[string]string   // addresses of recordings, likewise
}

func listen(t *testing.T) (w *told, url string) {
	w = &told{types: make(map[string][]string), files: make(map[string]string)}
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data struct {
				ID   string `json:"beam_id"`
				File string `json:"recording_presigned_url"`
			}
		}
		if json.NewDecoder(r.Body).Decode(&e) != nil || !strings.HasPrefix(e.Type, "beam.") {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.types[e.Data.ID] = append(w.types[e.Data.ID], strings.TrimPrefix(e.Type, "beam."))
		if e.Data.File != "" {
			w.files[e.Data.ID] = e.Data.File
		}
	}))
	t.Cleanup(hook.Close)
	return w, hook.URL
}

func (w *told) of(id string) (types []string, file string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.types[id]), w.files[id]
}

// TestKilled: a room is pushed and recorded, another one is recorded without being live, and the server is killed. The
// next one goes on with all of it: who is pushed to sees the encoder return, and the recordings have what there was
// before and what came afterwards.
func TestKilled(t *testing.T) {
	t.Parallel()
	target, dir := nginx(t)
	hooks, hookURL := listen(t)
	config := testserver.Config{DataDir: t.TempDir(), Args: []string{"--addr", "127.0.0.1:" + strconv.Itoa(freePort(t)), "--rtmp-allow-networks", "127.0.0.0/8",
		"--webhook-url", hookURL, "--webhook-allow-networks", "127.0.0.0/8"}}
	server := start(t, config)
	call := func(method, path string, in, out any) {
		t.Helper()
		if err := server.API(t.Context(), method, path, in, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	jobs := map[string]push{}
	begin := func(kind string, setup map[string]any) *person {
		t.Helper()
		room, err := server.NewRoom(t.Context(), kind, "")
		if err != nil {
			t.Fatal(err)
		}
		p := join(t, server, room.ID, floor, "Viewer of "+kind)
		var j push
		call("POST", "/v2/"+kind+"/room/"+room.ID+"/start", setup, &j)
		jobs[kind] = j
		return p
	}
	pushed := begin("external-streams", map[string]any{"rtmp_urls": []string{target + "/goes-on"}, "recording": true})
	recorded := begin("recordings", map[string]any{})
	all := func(status string) bool {
		for kind, j := range jobs {
			var now push
			call("GET", "/v2/"+kind+"/"+j.ID, nil, &now)
			if now.Status == "failed" {
				t.Fatalf("%s: %+v\n%s", kind, now, server.Log())
			}
			if now.Status != status {
				return false
			}
		}
		return true
	}
	running := func() bool {
		return pushed.State().Room.RTMP.Running && pushed.State().Room.Recording.Browser.Running && recorded.State().Room.Recording.Browser.Running
	}
	received := func() []string {
		files, err := filepath.Glob(filepath.Join(dir, "goes-on*.flv"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	eventually(t, "all run", func() bool { return all("running") && running() })
	time.Sleep(5 * time.Second) // of what must not be lost

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	server = start(t, config)
	if !all("running") {
		t.Errorf("what ran does not run any more\n%s", server.Log())
	}
	eventually(t, "the encoder returns", func() bool { return len(received()) == 2 })
	eventually(t, "the rooms know that all goes on", running)
	time.Sleep(5 * time.Second)

	for kind, j := range jobs {
		call("POST", "/v2/"+kind+"/"+j.ID+"/stop", nil, nil)
	}
	eventually(t, "all have ended", func() bool { return all("completed") })
	for _, name := range received() {
		if n := pictures(t, name); n < 60 {
			t.Errorf("%s: %d pictures were pushed", filepath.Base(name), n)
		}
	}
	for kind, j := range jobs {
		want := []string{"started.success", "stopped.success", "recording.success"}
		eventually(t, "the webhooks of "+kind, func() bool { types, _ := hooks.of(j.ID); return len(types) >= len(want) })
		types, file := hooks.of(j.ID)
		if !slices.Equal(types, want) {
			t.Errorf("%s: webhooks %q", kind, types)
		}
		// Before and after: of one of them alone there are five seconds, and what it takes to see that all runs.
		if n := pictures(t, recordingtest.Fetch(t, file)); n < 9*30 {
			t.Errorf("%s: %d pictures were recorded", kind, n)
		}
	}
}

// start starts a server that may be killed.
func start(t *testing.T, config testserver.Config) *testserver.Server {
	t.Helper()
	server, err := testserver.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !server.Exited() {
			testserver.End(t, server)
		}
	})
	return server
}
