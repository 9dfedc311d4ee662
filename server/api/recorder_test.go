package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"amphi/server/protocol"
	"amphi/server/store"
)

// fakeRecorder keeps what it is asked.
type fakeRecorder struct {
	store *store.Store
	asked []string
	fail  error
}

func (f *fakeRecorder) note(format string, args ...any) error {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.fail
}

func (f *fakeRecorder) StartRecording(ctx context.Context, roomID string, setup store.JobSetup) (store.Job, error) {
	if err := f.note("start %dx%d", setup.Width, setup.Height); err != nil {
		return store.Job{}, err
	}
	j, err := f.store.StartJob(ctx, store.Job{Kind: store.Recording, RoomID: roomID, Setup: setup})
	if err != nil {
		return j, protocol.Errorf(protocol.CodeConflict, "running")
	}
	return f.store.JobRunning(ctx, j.ID, time.Now())
}

func (f *fakeRecorder) StopRecording(string) error { return f.note("stop") }

func (f *fakeRecorder) PauseRecording(_ string, paused bool) error { return f.note("pause %v", paused) }

func (f *fakeRecorder) PauseHLSRecording(_ string, paused bool) error {
	return f.note("pause hls %v", paused)
}

func (f *fakeRecorder) AssetURL(_ context.Context, a store.Asset, lifetime time.Duration) (string, error) {
	return "https://files.example/" + a.Path, f.note("url %v", lifetime)
}

// TestRecorder has the API reach a server's recordings, by all of its paths.
func TestRecorder(t *testing.T) {
	rec := &fakeRecorder{}
	b := newBench(t, func(a *API) { a.Recorder = rec })
	rec.store = b.Store
	room := b.seed.Room.ID
	const starting = `{"code":400,"message":"beam already started"}`
	id := b.field("id", "POST", "/v2/recordings/room/"+room+"/start", `{"resolution":{"width":640,"height":480}}`)
	b.want(400, starting, "POST", "/v2/recordings/room/"+room+"/start", b.admin, `{}`)
	b.field("id", "POST", "/v2/recordings/room/"+room+"/pause", "")
	b.field("id", "POST", "/v2/recordings/room/"+room+"/resume", "")
	b.field("id", "POST", "/v2/recordings/"+id+"/stop", "")
	if _, err := b.Store.JobRecorded(t.Context(), id, store.StoppedByRequest, time.Now()); err != nil {
		t.Fatal(err)
	}
	asset := store.Asset{RoomID: room, JobID: id, Type: store.AssetComposite, Status: store.AssetCompleted, Path: "a.mp4", Thumbnails: []string{"1.png", "2.png"},
		Metadata: map[string]any{"poster": "p.jpg"}}
	if err := b.Store.RecordingDone(t.Context(), store.Recorded{ID: id, Job: store.Recording, At: time.Now(), Files: []store.RecordedFile{{Asset: asset}}}); err != nil {
		t.Fatal(err)
	}
	assets, err := b.Store.AssetsOf(t.Context(), id)
	if err != nil || len(assets[id]) != 1 {
		t.Fatal(assets, err)
	}
	presign := "/v2/recording-assets/" + assets[id][0].ID + "/presigned-url?presign_duration=60"
	b.want(200, `{"id":"ID","path":"a.mp4","url":"https://files.example/a.mp4","expiry":60,"poster_url":"https://files.example/p.jpg",`+
		`"thumbnail_urls":["https://files.example/1.png","https://files.example/2.png"]}`, "GET", presign, b.admin, "")

	stream := b.field("id", "POST", "/v2/live-streams/room/"+room+"/start", `{"recording":{"hls_vod":true}}`)
	b.field("id", "POST", "/v2/live-streams/"+stream+"/pause-recording", "")
	b.field("id", "POST", "/v2/live-streams/"+stream+"/resume-recording", "")
	rec.fail = protocol.Errorf(protocol.CodeNotFound, "it is not kept any more")
	b.want(404, `{"code":404,"message":"it is not kept any more"}`, "GET", presign, b.admin, "")
	b.want(404, `{"code":404,"message":"it is not kept any more"}`, "POST", "/v2/live-streams/"+stream+"/pause-recording", b.admin, "")
	rec.fail = errors.New("secret")
	b.want(500, `{"code":500,"message":"internal error"}`, "GET", presign, b.admin, "")

	want := "start 640x480, start 1280x720, pause true, pause false, stop, url 1m0s, url 1m0s, url 1m0s, url 1m0s, pause hls true, pause hls false, url 1m0s, pause hls true, url 1m0s"
	if got := strings.Join(rec.asked, ", "); got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
}
