package live

import (
	"encoding/json"
	"image"
	"image/color"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/recording/recordingtest"
	"amphi/server/room"
	"amphi/server/store"
)

// pictures decodes a stream of a file, and counts what comes out.
func pictures(t *testing.T, source, stream string) int {
	t.Helper()
	out := string(tool(t, "ffprobe", "-count_frames", "-select_streams", stream, "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", source))
	n, err := strconv.Atoi(strings.Fields(strings.ReplaceAll(out, ",", " "))[0])
	if err != nil {
		t.Errorf("%q", out)
	}
	return n
}

// clerk is in the room and hears of recordings.
type clerk struct {
	mailbox
	mu     sync.Mutex
	states map[string]string // by kind
}

func (c *clerk) Send(frame []byte) {
	var f struct {
		Method string
		Params protocol.RecordUpdate
	}
	if json.Unmarshal(frame, &f) == nil && f.Method == protocol.OnRecordUpdate {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.states[f.Params.Type] = f.Params.State
	}
}

func (c *clerk) state(kind string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[kind]
}

func (h *house) clerk(r *room.Room) *clerk {
	h.t.Helper()
	c := &clerk{states: make(map[string]string)}
	p, err := r.Connect(h.t.Context(), room.Identity{PeerID: "peer-clerk", UserID: "clerk", Role: policy.RoleHLSViewer}, c)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := p.Join(h.t.Context(), protocol.Join{Name: "clerk"}); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// The whole way of a recording: two people on stage, the media worker, which is killed in between; and in the end a ZIP
// and two files, of which each decodes, with all pictures that were on the air.
func TestFromStageToRecording(t *testing.T) {
	t.Parallel()
	h := newHouse(t, realWorker(t), Config{}, func(t *policy.Template) {
		for _, d := range t.Destinations.HLS {
			d.Layers = []policy.HLSLayer{{Width: 1280, Height: 720, VideoBitrate: 2000}, {Width: 640, Height: 360, VideoBitrate: 600}}
			d.Recording = &policy.HLSRecording{HLSVOD: true, SingleFilePerLayer: true,
				Thumbnails: &policy.Thumbnails{Enabled: true, Width: 320, Height: 320, Offsets: []int{1, 3600}}}
		}
	})
	r := h.open()
	join(t, r, "ann")
	join(t, r, "bob")
	c := h.clerk(r)
	if err := h.PauseHLSRecording(r.ID(), true); err == nil {
		t.Error("the recording of no stream was paused")
	}
	h.start(r)
	state := func() string { return c.state(protocol.RecordHLS) }
	if got := state(); got != protocol.StateStarted {
		t.Errorf("recording %s", got)
	}
	time.Sleep(2 * time.Second) // that much is recorded
	first := h.stream(r.ID()).worker.Load()
	if err := first.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	h.until("the next worker's pictures", func() bool {
		w := h.stream(r.ID()).worker.Load()
		return w != nil && w != first && w.stats.Load() != nil && w.stats.Load().Ticks > 60
	})
	for _, pause := range []bool{true, false} {
		if err := h.PauseHLSRecording(r.ID(), pause); err != nil {
			t.Error(err)
		}
		if got := state(); got != map[bool]string{true: protocol.StatePaused, false: protocol.StateResumed}[pause] {
			t.Errorf("recording %s", got)
		}
		time.Sleep(1500 * time.Millisecond)
	}
	if err := h.StopHLS(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	var told map[string]any
	h.until("the webhook", func() bool {
		if e := h.events()["hls.recording.success"]; e != nil {
			told = e
		}
		return told != nil
	})
	if got := state(); got != protocol.StateStopped {
		t.Errorf("recording %s", got)
	}
	if l := h.latest(); l.Status != store.StatusCompleted || !l.Recording.HLSVOD {
		t.Errorf("%+v", l)
	}
	thumbnails := told["recording_thumbnails"].([]any)
	if len(thumbnails) != 1 {
		t.Fatalf("%v", told)
	}
	thumbnail := thumbnails[0].(map[string]any)
	if thumbnail["width"] != 320.0 || thumbnail["height"] != 180.0 || thumbnail["offset"] != 1.0 {
		t.Errorf("%v", thumbnail)
	}
	for format, url := range map[string]any{"png": thumbnail["url"], "jpeg": told["recording_poster_presigned_url"]} {
		f, err := os.Open(recordingtest.Fetch(t, url.(string)))
		if err != nil {
			t.Fatal(err)
		}
		m, is, err := image.Decode(f)
		f.Close()
		if err != nil || is != format || m.Bounds().Size() != image.Pt(320, 180) {
			t.Errorf("%v: %s, %v", url, is, err)
			continue
		}
		// Both people are in it: the test picture has many colours on either side of the middle.
		for _, side := range []int{0, 160} {
			colors := map[color.Color]bool{}
			for x := range 160 {
				colors[m.At(side+x, 90)] = true
			}
			if len(colors) < 20 {
				t.Errorf("%d colours from %d of a %s", len(colors), side, format)
			}
		}
	}
	files := told["recording_single_files"].([]any)
	if len(files) != 2 {
		t.Fatalf("%v", told)
	}
	var counts []int
	for i, f := range files {
		f := f.(map[string]any)
		if f["layer"] != strconv.Itoa(i) || f["width"] != []float64{1280, 640}[i] {
			t.Errorf("%v", f)
		}
		counts = append(counts, pictures(t, recordingtest.Fetch(t, f["recording_presigned_url"].(string)), "v:0"))
	}
	url := recordingtest.Unzip(t, recordingtest.Fetch(t, told["hls_vod_recording_presigned_url"].(string)))
	for _, stream := range []string{"v:0", "v:1"} {
		counts = append(counts, pictures(t, url, stream))
	}
	for _, n := range counts {
		// Six seconds at least; a gap between workers may be a few pictures that last longer.
		if n != counts[0] || n < 120 {
			t.Errorf("pictures %v", counts)
		}
	}
	t.Logf("pictures %v, %v s, %v bytes of VOD", counts, told["duration"], told["hls_vod_recording_size"])
}

// A composed room is recorded without being on the air, beside or without a live stream.
func TestCompositeRecording(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{}, nil)
	r := h.open()
	c := h.clerk(r)
	state := func() string { return c.state(protocol.RecordBrowser) }
	wantCode(t, h.StopRecording(r.ID()), 404)
	wantCode(t, h.PauseRecording(r.ID(), true), 404)
	j, err := h.StartRecording(t.Context(), r, store.JobSetup{Width: 1280, Height: 720}, "peer-1")
	if err != nil || j.Status != store.StatusStarting || j.SessionID == "" {
		t.Fatalf("%+v %v", j, err)
	}
	_, err = h.StartRecording(t.Context(), r, store.JobSetup{}, "")
	wantCode(t, err, 409)
	job := func() store.Job {
		j, err := h.store.Job(t.Context(), h.seed.Workspace.ID, store.Recording, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	// A pause before the first picture holds when that comes, and what is refused meanwhile changes nothing.
	if err := h.PauseRecording(r.ID(), true); err != nil {
		t.Error(err)
	}
	h.until("running", func() bool { return job().Status == store.StatusRunning && state() == protocol.StatePaused })
	_, err = h.RecordPush(t.Context(), r, store.Job{ID: store.NewID(), Kind: store.ExternalStream})
	wantCode(t, err, 409)
	if got := state(); got != protocol.StatePaused {
		t.Errorf("recording %s", got)
	}
	if err := h.PauseRecording(r.ID(), false); err != nil || state() != protocol.StateResumed {
		t.Errorf("recording %s %v", state(), err)
	}
	if h.origin.Stream(h.key()) != nil {
		t.Error("the room is on the air")
	}
	h.start(r) // the recording goes on with what is on the air now
	time.Sleep(2 * time.Second)
	if err := h.StopHLS(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	h.until("no live stream", func() bool { return h.state(r).State == protocol.StateStopped })
	if _, err := h.store.JobStopping(t.Context(), j.ID, "peer-2", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := h.StopRecording(r.ID()); err != nil {
		t.Fatal(err)
	}
	h.until("completed", func() bool { return job().Status == store.StatusCompleted })
	if got := state(); got != protocol.StateStopped {
		t.Errorf("recording %s", got)
	}
	assets, err := h.store.AssetsOf(t.Context(), j.ID)
	if err != nil || len(assets[j.ID]) != 1 {
		t.Fatalf("%v %v", assets, err)
	}
	a := assets[j.ID][0]
	url, err := h.files.URL(t.Context(), a.Path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if n := pictures(t, recordingtest.Fetch(t, url), "v:0"); n < 60 || a.Type != store.AssetComposite || !strings.Contains(a.Path, "/beam/") {
		t.Errorf("%d pictures, %+v", n, a)
	}

	// One that is stopped at once has failed.
	if j, err = h.StartRecording(t.Context(), r, store.JobSetup{Width: 1280, Height: 720}, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.StopRecording(r.ID()); err != nil {
		t.Fatal(err)
	}
	h.until("failed", func() bool {
		j := job()
		return j.Status == store.StatusFailed && strings.Contains(j.Reason, "BEAM_STOPPED")
	})
}

// A push that is recorded too: its files come after its end is on record.
func TestRecordPush(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{}, nil)
	r := h.open()
	c := h.clerk(r)
	j, err := h.store.StartJob(t.Context(), store.Job{Kind: store.ExternalStream, RoomID: r.ID(), Setup: store.JobSetup{Recording: true}})
	if err != nil {
		t.Fatal(err)
	}
	done, err := h.RecordPush(t.Context(), r, j)
	if err != nil {
		t.Fatal(err)
	}
	h.until("pictures", func() bool { return c.state(protocol.RecordBrowser) == protocol.StateStarted })
	time.Sleep(1500 * time.Millisecond)
	if _, err := h.store.JobRunning(t.Context(), j.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.JobRecorded(t.Context(), j.ID, store.StoppedByRequest, time.Now()); err != nil {
		t.Fatal(err)
	}
	done(store.StoppedByRequest)
	h.until("completed", func() bool {
		j, err := h.store.Job(t.Context(), h.seed.Workspace.ID, store.ExternalStream, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		return j.Status == store.StatusCompleted
	})
	if assets, err := h.store.AssetsOf(t.Context(), j.ID); err != nil || len(assets[j.ID]) != 1 {
		t.Errorf("%v %v", assets, err)
	}
}

// A disk without room for a recording fails that alone: the live stream goes on, the room is told, and so is the webhook.
func TestNoRoomForRecordings(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{}, func(t *policy.Template) {
		for _, d := range t.Destinations.HLS {
			d.Recording = &policy.HLSRecording{HLSVOD: true}
		}
	})
	var err error
	if h.cfg.Recordings, err = recording.New(recording.Config{Dir: t.TempDir(), Storage: h.files, Store: h.store, Reserve: math.MaxInt64, Log: h.cfg.Log}); err != nil {
		t.Fatal(err)
	}
	r := h.open()
	c := h.clerk(r)
	h.start(r)
	for _, kind := range []string{protocol.RecordHLS, protocol.RecordBrowser} {
		if kind == protocol.RecordBrowser {
			if _, err := h.StartRecording(t.Context(), r, store.JobSetup{}, ""); err != nil {
				t.Fatal(err)
			}
		}
		h.until(kind+" has failed", func() bool { return c.state(kind) == protocol.StateFailed })
	}
	h.until("the record of it", func() bool {
		failed, err := h.store.Jobs(t.Context(), h.seed.Workspace.ID, store.Recording, store.StreamFilter{Status: store.StatusFailed}, store.Page{Limit: 1})
		return err == nil && len(failed) == 1 && strings.Contains(failed[0].Reason, "the disk is full")
	})
	if got := h.state(r).State; got != protocol.StateStarted {
		t.Errorf("the live stream is %s", got)
	}
	if err := h.StopHLS(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	h.until("the live stream has ended", func() bool { return h.latest().Status == store.StatusFailed })
	if e := h.events()["hls.failure"]; e == nil || e["error_message"] != "the disk is full" {
		t.Errorf("%v", e)
	}
}
