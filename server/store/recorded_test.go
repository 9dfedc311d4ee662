package store

import (
	"strings"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// TestRecordings has live streams and jobs wait for the files of their recordings, and get them once.
func TestRecordings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx, room, w := t.Context(), seed.Room.ID, seed.Workspace.ID
		_, err := s.OpenSession(ctx, "S", room, start)
		check(t, err)
		stream := func() LiveStream {
			l, err := s.StartLiveStream(ctx, LiveStream{RoomID: room, SessionID: "S", Width: 1280, Height: 720})
			check(t, err)
			check(t, s.LiveStreamRunning(ctx, l.ID, start))
			return l
		}
		job := func() Job {
			j, err := s.StartJob(ctx, Job{Kind: Recording, RoomID: room})
			check(t, err)
			_, err = s.JobRunning(ctx, j.ID, start)
			check(t, err)
			return j
		}
		file := func(id string, kind AssetType, layer string) RecordedFile {
			return RecordedFile{URL: "https://" + layer, Asset: Asset{RoomID: room, SessionID: "S", JobID: id, Type: kind, Status: AssetCompleted,
				Path: "s3://b/" + layer, Size: 7, Duration: 3, Metadata: map[string]any{"resolution": map[string]any{"width": 1280, "height": 720}}}}
		}
		broken := func(id string) RecordedFile {
			return RecordedFile{Asset: Asset{RoomID: room, JobID: id, Type: AssetComposite, Status: AssetFailed, Metadata: map[string]any{"error": "the disk is full"}}}
		}
		full, crashed, empty := stream(), LiveStream{}, LiveStream{}
		check(t, s.LiveStreamRecorded(ctx, full.ID, StoppedByRequest, start.Add(time.Minute)))
		crashed = stream() // the one before does not occupy the room
		check(t, s.LiveStreamFailed(ctx, crashed.ID, Failure{At: start.Add(time.Minute), Type: "INTERNAL_ERROR"}))
		empty = stream()
		check(t, s.LiveStreamRecorded(ctx, empty.ID, StoppedByRequest, start.Add(time.Minute)))
		good, bad, lost := job(), Job{}, Job{}
		_, err = s.JobRecorded(ctx, good.ID, StoppedByRequest, start.Add(time.Minute))
		check(t, err)
		bad = job()
		_, err = s.JobRecorded(ctx, bad.ID, StoppedByRequest, start.Add(time.Minute))
		check(t, err)
		lost = job()
		_, err = s.JobRecorded(ctx, lost.ID, StoppedByRequest, start.Add(time.Minute))
		check(t, err)
		if l, err := s.LiveStream(ctx, w, full.ID); err != nil || l.Status != StatusPostProcessing {
			t.Errorf("%+v %v", l, err)
		}
		drain(t, s, seed)

		at := start.Add(2 * time.Minute)
		for range 2 { // the second time is that of a server that was killed before it forgot
			for _, r := range []Recorded{
				{ID: full.ID, Files: []RecordedFile{file(full.ID, AssetVOD, "zip"), file(full.ID, AssetComposite, "0"), broken(full.ID)}},
				{ID: crashed.ID, Files: []RecordedFile{file(crashed.ID, AssetVOD, "zip")}},
				{ID: good.ID, Job: Recording, Files: []RecordedFile{file(good.ID, AssetComposite, "0")}},
				{ID: bad.ID, Job: Recording, Files: []RecordedFile{broken(bad.ID)}, Failure: "the disk is full"},
			} {
				r.At = at
				check(t, s.RecordingDone(ctx, r))
			}
			check(t, s.SettleRecordings(ctx, []string{lost.ID}, at))
		}
		var kinds []string
		for _, e := range drain(t, s, seed) {
			_, rest, _ := strings.Cut(e, `"type":"`)
			kind, _, _ := strings.Cut(rest, `"`)
			kinds = append(kinds, kind)
			switch kind {
			case "hls.recording.success":
				if !strings.Contains(e, `"hls_vod_recording_presigned_url":"https://zip"`) {
					t.Errorf("%s", e)
				}
			case "beam.recording.success":
				if !strings.Contains(e, `"recording_presigned_url":"https://0"`) || !strings.Contains(e, `"size":7`) {
					t.Errorf("%s", e)
				}
			case "beam.failure":
				if !strings.Contains(e, `"error_type":"UPLOAD_ERROR","error_message":"the disk is full"`) {
					t.Errorf("%s", e)
				}
			}
		}
		if got := strings.Join(kinds, " "); got != "hls.recording.success hls.recording.success beam.recording.success beam.failure hls.failure" {
			t.Errorf("events %s", got)
		}
		for id, want := range map[string]Status{full.ID: StatusCompleted, crashed.ID: StatusFailed, empty.ID: StatusFailed} {
			if l, err := s.LiveStream(ctx, w, id); err != nil || l.Status != want {
				t.Errorf("%+v %v, want %s", l, err, want)
			}
		}
		for id, want := range map[string]Status{good.ID: StatusCompleted, bad.ID: StatusFailed, lost.ID: StatusPostProcessing} {
			if j, err := s.Job(ctx, w, Recording, id); err != nil || j.Status != want {
				t.Errorf("%+v %v, want %s", j, err, want)
			}
		}
		assets, err := s.AssetsOf(ctx, full.ID, bad.ID)
		if err != nil || len(assets[full.ID]) != 3 || len(assets[bad.ID]) != 1 || assets[bad.ID][0].Metadata["error"] != "the disk is full" {
			t.Errorf("%+v %v", assets, err)
		}
	})
}
