package store

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// events drains the outbox of the seeded room and returns the types of what was in it.
func events(t *testing.T, s *Store, seed Seeded) []string {
	t.Helper()
	var kinds []string
	for _, e := range drain(t, s, seed) {
		var v struct{ Type string }
		check(t, json.Unmarshal([]byte(e), &v))
		kinds = append(kinds, v.Type)
	}
	return kinds
}

func TestJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx, w, room := t.Context(), seed.Workspace.ID, seed.Room.ID

		// A push that fails before any session is open.
		push := Job{Kind: ExternalStream, RoomID: room, Setup: JobSetup{MeetingURL: "https://m", Destination: "social", Width: 1280, Height: 720,
			RTMPURLs: []string{"rtmp://a/b"}, Recording: true}}
		first, err := s.StartJob(ctx, push)
		check(t, err)
		if first.Status != StatusStarting || first.WorkspaceID != w || !IsID(first.ID) || first.SessionID != "" {
			t.Errorf("%+v", first)
		}
		if _, err := s.StartJob(ctx, push); !errors.Is(err, ErrConflict) {
			t.Errorf("a second push: %v", err)
		}
		if got, err := s.ActiveJob(ctx, room, ExternalStream); err != nil || !reflect.DeepEqual(got, first) {
			t.Errorf("got  %+v\nwant %+v %v", got, first, err)
		}
		if _, err := s.ActiveJob(ctx, room, Recording); !errors.Is(err, ErrNotFound) {
			t.Errorf("a recording: %v", err)
		}
		failed, err := s.JobFailed(ctx, first.ID, Failure{At: first.CreatedAt, Type: "INTERNAL_ERROR", Message: "no RTMP"})
		if err != nil || failed.Status != StatusFailed || failed.Reason != "failure: INTERNAL_ERROR: no RTMP" {
			t.Errorf("%+v %v", failed, err)
		}
		if got, err := s.Job(ctx, w, ExternalStream, first.ID); err != nil || !reflect.DeepEqual(got, failed) {
			t.Errorf("got  %+v\nwant %+v %v", got, failed, err)
		}
		for _, err := range []error{last(s.Job(ctx, w, Recording, first.ID)), last(s.Job(ctx, NewID(), ExternalStream, first.ID)), last(s.JobRunning(ctx, NewID(), start))} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}

		// A recording, from start to end.
		_, err = s.OpenSession(ctx, "S", room, start)
		check(t, err)
		rec, err := s.StartJob(ctx, Job{Kind: Recording, RoomID: room, StartedBy: "p1"})
		if err != nil || rec.SessionID != "S" {
			t.Errorf("%+v %v", rec, err)
		}
		at := func(sec int) time.Time { return rec.CreatedAt.Add(time.Duration(sec) * time.Second) }
		if _, err := s.PauseJob(ctx, rec.ID, true, at(1)); !errors.Is(err, ErrConflict) {
			t.Errorf("paused before it runs: %v", err)
		}
		check(t, last(s.JobRunning(ctx, rec.ID, at(2))))
		if j, err := s.PauseJob(ctx, rec.ID, true, at(3)); err != nil || !j.Paused || j.Status != StatusRunning {
			t.Errorf("%+v %v", j, err)
		}
		check(t, last(s.PauseJob(ctx, rec.ID, false, at(4))))
		check(t, last(s.JobStopping(ctx, rec.ID, "p2", at(5))))
		check(t, last(s.JobStopping(ctx, rec.ID, "p3", at(6))))
		done, err := s.JobStopped(ctx, rec.ID, StoppedByRequest, at(7))
		want := rec
		want.Status, want.StoppedBy, want.Reason, want.UpdatedAt, want.StartedAt, want.StoppedAt = StatusCompleted, "p2", StoppedByRequest, at(7), at(2), at(7)
		if err != nil || !reflect.DeepEqual(done, want) {
			t.Errorf("got  %+v\nwant %+v %v", done, want, err)
		}
		for _, err := range []error{last(s.JobRunning(ctx, rec.ID, start)), last(s.JobStopping(ctx, rec.ID, "", start)),
			last(s.JobStopped(ctx, rec.ID, "", start)), last(s.JobFailed(ctx, rec.ID, Failure{}))} {
			if !errors.Is(err, ErrConflict) {
				t.Errorf("after the end: %v", err)
			}
		}

		// What a killed server leaves is ended.
		left, err := s.StartJob(ctx, Job{Kind: Recording, RoomID: room})
		check(t, err)
		if sessions, jobs, err := s.Recover(ctx, at(9), 0); sessions != 1 || jobs != 1 || err != nil {
			t.Errorf("ended %d sessions, %d jobs, %v", sessions, jobs, err)
		}

		for _, tc := range []struct {
			kind JobKind
			f    StreamFilter
			p    Page
			want []string
		}{
			{Recording, StreamFilter{}, Page{Limit: 10}, []string{left.ID, rec.ID}},
			{Recording, StreamFilter{}, Page{Limit: 1}, []string{left.ID}},
			{Recording, StreamFilter{}, Page{Limit: 10, Start: left.ID}, []string{rec.ID}},
			{Recording, StreamFilter{RoomID: room, SessionID: "S", Status: StatusFailed}, Page{Limit: 10}, []string{left.ID}},
			{Recording, StreamFilter{RoomID: NewID()}, Page{Limit: 10}, nil},
			{ExternalStream, StreamFilter{RoomID: room}, Page{Limit: 10}, []string{first.ID}},
		} {
			jobs, err := s.Jobs(ctx, w, tc.kind, tc.f, tc.p)
			var ids []string
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			if err != nil || !reflect.DeepEqual(ids, tc.want) {
				t.Errorf("%s %+v %+v: %v, want %v; %v", tc.kind, tc.f, tc.p, ids, tc.want, err)
			}
		}
		if got, want := events(t, s, seed), []string{"beam.failure", "session.open.success", "beam.started.success", "beam.stopped.success",
			"beam.failure", "session.close.success"}; !reflect.DeepEqual(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	})
}

// last is the error of a call.
func last[T any](_ T, err error) error { return err }

func TestAssets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w, room := t.Context(), seed.Workspace.ID, seed.Room.ID
		a, err := s.SaveAsset(ctx, Asset{RoomID: room, SessionID: "S", JobID: "J", Type: AssetComposite, Status: AssetProcessing})
		check(t, err)
		a.Status, a.Path, a.Size, a.Duration = AssetCompleted, "s3://b/r.mp4", 1<<40, 60
		a.Metadata = map[string]any{"layer": "0"}
		check(t, last(s.SaveAsset(ctx, a)))
		vod, err := s.SaveAsset(ctx, Asset{RoomID: room, SessionID: "S", JobID: "J2", Type: AssetVOD, Status: AssetFailed, Thumbnails: []string{"a.png"}})
		check(t, err)
		for _, want := range []Asset{a, vod} {
			if got, err := s.Asset(ctx, w, want.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v %v", got, want, err)
			}
		}
		for _, tc := range []struct {
			f    AssetFilter
			want []Asset
		}{
			{AssetFilter{}, []Asset{vod, a}},
			{AssetFilter{RoomID: room, SessionID: "S", Type: AssetVOD}, []Asset{vod}},
			{AssetFilter{Status: AssetCompleted}, []Asset{a}},
			{AssetFilter{Status: AssetProcessing}, nil},
		} {
			if got, err := s.Assets(ctx, w, tc.f, Page{Limit: 10}); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v: %+v %v", tc.f, got, err)
			}
		}
		if got, err := s.AssetsOf(ctx, "J", "J3"); err != nil || !reflect.DeepEqual(got, map[string][]Asset{"J": {a}}) {
			t.Errorf("%+v %v", got, err)
		}
		if got, err := s.AssetsOf(ctx); err != nil || len(got) != 0 {
			t.Errorf("%+v %v", got, err)
		}
		for _, err := range []error{last(s.Asset(ctx, NewID(), a.ID)), last(s.SaveAsset(ctx, Asset{ID: NewID()})), last(s.SaveAsset(ctx, Asset{RoomID: NewID()}))} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestStreamKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, room := t.Context(), seed.Room.ID
		seen := make(map[string]bool)
		for range 2 {
			if _, err := s.StreamKey(ctx, room); !errors.Is(err, ErrNotFound) {
				t.Errorf("a key before it is made: %v", err)
			}
			k, err := s.NewStreamKey(ctx, room)
			if err != nil || len(k.Key) < 32 || seen[k.Key] || k.WorkspaceID != seed.Workspace.ID {
				t.Errorf("%+v %v", k, err)
			}
			seen[k.Key] = true
			if _, err := s.NewStreamKey(ctx, room); !errors.Is(err, ErrConflict) {
				t.Errorf("a second key: %v", err)
			}
			if got, err := s.StreamKey(ctx, room); err != nil || got != k {
				t.Errorf("got %+v, want %+v, %v", got, k, err)
			}
			check(t, s.DisableStreamKey(ctx, room))
			if err := s.DisableStreamKey(ctx, room); !errors.Is(err, ErrNotFound) {
				t.Errorf("disabled twice: %v", err)
			}
		}
		if _, err := s.NewStreamKey(ctx, NewID()); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key of no room: %v", err)
		}
	})
}

func TestChat(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		_, err := s.OpenSession(ctx, "S", seed.Room.ID, start)
		check(t, err)
		var said []ChatMessage
		for i, text := range []string{"hello", "<b>&", "日本語"} {
			said = append(said, ChatMessage{SessionID: "S", PeerID: "p", Name: "Ada", UserID: "u", Roles: []string{"host"}[:i%2], Type: "chat", Message: text,
				SentAt: trunc(start.Add(time.Duration(i) * time.Minute))})
		}
		check(t, s.AddChat(ctx, said...))
		var got []ChatMessage
		for p := (Page{Limit: 2}); ; p.Start = got[len(got)-1].ID {
			page, err := s.Chat(ctx, "S", p)
			check(t, err)
			got = append(got, page...)
			if len(page) < 2 {
				break
			}
		}
		for i := range got {
			said[i].ID = got[i].ID
		}
		if !reflect.DeepEqual(got, said) {
			t.Errorf("got  %+v\nwant %+v", got, said)
		}
		if err := s.AddChat(ctx, said[0], ChatMessage{SessionID: "none"}); err == nil {
			t.Error("a message of no session")
		}
		if n, err := s.PruneChat(ctx, start.Add(90*time.Second), 10); n != 2 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if got, err := s.Chat(ctx, "S", Page{Limit: 10}); err != nil || !reflect.DeepEqual(got, said[2:]) {
			t.Errorf("left %+v %v", got, err)
		}
		check(t, s.AddChat(ctx, said[:2]...))
		if n, err := s.PruneChat(ctx, start.Add(-time.Hour), 1); n != 2 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if n, err := s.PruneChat(ctx, start.Add(-time.Hour), 1); n != 0 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
	})
}
