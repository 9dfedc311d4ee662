package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

var start = time.Date(2024, 1, 24, 8, 14, 0, 101_999_999, time.UTC) // recorded as .101

// hooked is a seeded store whose workspace has a webhook.
func hooked(t *testing.T, where string) (*Store, Seeded) {
	t.Helper()
	s, seed := seeded(t, where)
	check(t, s.SetWebhook(t.Context(), seed.Workspace.ID, Webhook{URL: "https://a.example"}))
	return s, seed
}

// drain returns the room's pending events in order as JSON texts, with what differs from run to run replaced.
func drain(t *testing.T, s *Store, seed Seeded) []string {
	t.Helper()
	var got []string
	for {
		events, err := s.NextEvents(t.Context(), seed.Room.ID, 1)
		check(t, err)
		if len(events) == 0 {
			return got
		}
		e := events[0]
		var env struct {
			ID   string `json:"id"`
			Type string `json:"type"`
			Data struct {
				MetadataID string `json:"metadata_id"`
			} `json:"data"`
		}
		check(t, json.Unmarshal(e.Payload, &env))
		if env.ID != e.ID || env.Type != e.Type {
			t.Errorf("envelope %+v of event %+v", env, e)
		}
		text := e.Payload
		for secret, name := range map[string]string{e.ID: "EVENT", env.Data.MetadataID: "META", seed.Workspace.ID: "WORKSPACE",
			seed.Workspace.AppID: "APP", seed.Room.ID: "ROOM", seed.Room.TemplateID: "TEMPLATE"} {
			if secret != "" {
				text = bytes.ReplaceAll(text, []byte(secret), []byte(name))
			}
		}
		got = append(got, string(text))
		check(t, s.Settle(t.Context(), Outcome{Seq: e.Seq, Now: Delivered, At: time.Now()}))
	}
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("unexpected: %s", got[i])
		case got[i] != want[i]:
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func TestSessionEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		at := func(d time.Duration) time.Time { return start.Add(d) }
		_, err := s.OpenSession(ctx, "S", seed.Room.ID, at(0))
		check(t, err)
		check(t, s.PeerJoined(ctx, Peer{ID: "p1", SessionID: "S", Name: "Ada <3", Role: "broadcaster", UserID: "u1", JoinedAt: at(time.Second)}, `{"isHandRaised":false}`))
		check(t, s.PeerJoined(ctx, Peer{ID: "p2", SessionID: "S", Name: "Bo", Role: "hls-viewer", UserID: "u2", JoinedAt: at(2 * time.Second)}, ""))
		check(t, s.RoleChanged(ctx, "S", "p2", RoleChange{At: at(3 * time.Second), Role: "broadcaster", RequestedBy: "p1"}))
		check(t, s.PeerLeft(ctx, "S", "p1", Leave{At: at(63 * time.Second), Reason: LeftKicked, Message: "spam", Data: "d"}))
		check(t, s.PeerLeft(ctx, "S", "p1", Leave{At: at(64 * time.Second), Reason: LeftSocket})) // gone already
		check(t, s.RoomEnded(ctx, "S", RoomEnd{At: at(65 * time.Second), PeerID: "p2", Lock: true, Reason: "over"}))
		check(t, s.CloseSession(ctx, "S", at(66*time.Second)))
		check(t, s.CloseSession(ctx, "S", at(67*time.Second))) // closed already

		const head = `{"version":"2.0","id":"EVENT","account_id":"WORKSPACE","app_id":"APP","timestamp":"2024-01-24T08:`
		const room = `"room_id":"ROOM","room_name":"main-stage","session_id":"S","template_id":"TEMPLATE"`
		compare(t, drain(t, s, seed), []string{
			head + `14:00Z","type":"session.open.success","data":{` + room + `,"session_started_at":"2024-01-24T08:14:00.101Z"}}`,
			head + `14:01Z","type":"peer.join.success","data":{` + room + `,"peer_id":"p1","user_id":"u1","user_name":"Ada <3","user_data":"{\"isHandRaised\":false}","role":"broadcaster","joined_at":"2024-01-24T08:14:01.101Z","session_started_at":"2024-01-24T08:14:00.101Z","type":"regular"}}`,
			head + `14:02Z","type":"peer.join.success","data":{` + room + `,"peer_id":"p2","user_id":"u2","user_name":"Bo","user_data":"","role":"hls-viewer","joined_at":"2024-01-24T08:14:02.101Z","session_started_at":"2024-01-24T08:14:00.101Z","type":"regular"}}`,
			head + `14:03Z","type":"role.change.success","data":{` + room + `,"peer_id":"p2","user_id":"u2","user_name":"Bo","user_data":"","role":"broadcaster","joined_at":"2024-01-24T08:14:02.101Z","session_started_at":"2024-01-24T08:14:00.101Z","type":"regular","previous_role":"hls-viewer","role_changed_at":"2024-01-24T08:14:03.101Z","role_change_requested_by":"p1"}}`,
			head + `15:03Z","type":"peer.leave.success","data":{` + room + `,"peer_id":"p1","user_id":"u1","user_name":"Ada <3","user_data":"d","role":"broadcaster","joined_at":"2024-01-24T08:14:01.101Z","session_started_at":"2024-01-24T08:14:00.101Z","type":"regular","left_at":"2024-01-24T08:15:03.101Z","duration":62,"reason":"peer kicked","message":"spam"}}`,
			head + `15:05Z","type":"room.end.success","data":{` + room + `,"peer_id":"p2","user_id":"u2","user_name":"Bo","role":"broadcaster","lock_room":true,"reason":"over","source":"peer","session_started_at":"2024-01-24T08:14:00.101Z"}}`,
			head + `15:06Z","type":"peer.leave.success","data":{` + room + `,"peer_id":"p2","user_id":"u2","user_name":"Bo","user_data":"","role":"broadcaster","joined_at":"2024-01-24T08:14:02.101Z","session_started_at":"2024-01-24T08:14:00.101Z","type":"regular","left_at":"2024-01-24T08:15:06.101Z","duration":64,"reason":"server removed peer","message":""}}`,
			head + `15:06Z","type":"session.close.success","data":{` + room + `,"session_started_at":"2024-01-24T08:14:00.101Z","session_stopped_at":"2024-01-24T08:15:06.101Z","session_duration":66}}`,
		})
		if r, err := s.AnyRoom(ctx, seed.Room.ID); err != nil || !r.Enabled {
			t.Errorf("writing down who locked the room locked it: %+v %v", r, err)
		}
		v, err := s.Session(ctx, "S")
		if want := trunc(at(66 * time.Second)); err != nil || !v.EndedAt.Equal(want) {
			t.Errorf("%+v %v", v, err)
		}
		peers, err := s.Peers(ctx, "S")
		if err != nil || len(peers) != 2 || peers[1].Role != "broadcaster" || peers[0].LeftAt.IsZero() {
			t.Errorf("%+v %v", peers, err)
		}
	})
}

func TestLiveStreamEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		_, err := s.OpenSession(ctx, "S", seed.Room.ID, start)
		check(t, err)
		drain(t, s, seed)

		l, err := s.StartLiveStream(ctx, LiveStream{RoomID: seed.Room.ID, SessionID: "S", Destination: "main", PlaybackURL: "https://a/m.m3u8",
			MeetingURL: "https://m", Width: 1280, Height: 720, StartedBy: "p1", Recording: StreamRecording{HLSVOD: true}})
		check(t, err)
		if _, err := s.StartLiveStream(ctx, LiveStream{RoomID: seed.Room.ID, SessionID: "S"}); !errors.Is(err, ErrConflict) {
			t.Errorf("a second stream: %v", err)
		}
		if got, err := s.ActiveLiveStream(ctx, seed.Room.ID); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%+v %v", got, err)
		}
		created := l.CreatedAt
		at := func(sec int) time.Time { return created.Add(time.Duration(sec) * time.Second) }
		check(t, s.LiveStreamRunning(ctx, l.ID, at(2)))
		if err := s.LiveStreamRunning(ctx, l.ID, at(3)); !errors.Is(err, ErrConflict) {
			t.Errorf("running twice: %v", err)
		}
		check(t, s.LiveStreamStopping(ctx, l.ID, "p2", at(10)))
		check(t, s.LiveStreamStopping(ctx, l.ID, "p3", at(11)))
		check(t, s.LiveStreamStopped(ctx, l.ID, StoppedByRequest, at(12)))
		for _, err := range []error{s.LiveStreamStopping(ctx, l.ID, "", at(13)), s.LiveStreamStopped(ctx, l.ID, "", at(13)), s.LiveStreamFailed(ctx, l.ID, Failure{At: at(13)})} {
			if !errors.Is(err, ErrConflict) {
				t.Errorf("after the end: %v", err)
			}
		}
		got, err := s.LiveStream(ctx, seed.Workspace.ID, l.ID)
		want := l
		want.Status, want.StoppedBy, want.Reason = StatusCompleted, "p2", "client request"
		want.StartedAt, want.StoppedAt, want.UpdatedAt = at(2), at(12), at(12)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v %v", got, want, err)
		}
		if _, err := s.LiveStream(ctx, NewID(), l.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's stream: %v", err)
		}

		// The next one fails.
		l2, err := s.StartLiveStream(ctx, LiveStream{RoomID: seed.Room.ID, SessionID: "S", Destination: "main"})
		check(t, err)
		check(t, s.LiveStreamFailed(ctx, l2.ID, Failure{At: l2.CreatedAt, Type: "BEAM_STOPPED", Message: "Beam stopped too early"}))
		if l, err := s.LiveStreams(ctx, seed.Workspace.ID, StreamFilter{RoomID: seed.Room.ID, SessionID: "S", Status: StatusFailed}, Page{Limit: 10}); err != nil || len(l) != 1 || l[0].ID != l2.ID {
			t.Errorf("%+v %v", l, err)
		}

		stamp := func(t time.Time) string { return t.Format(time.RFC3339Nano) }
		head := func(t time.Time, kind string) string {
			return `{"version":"2.0","id":"EVENT","account_id":"WORKSPACE","app_id":"APP","timestamp":"` + t.Format(time.RFC3339) + `","type":"` + kind + `","data":`
		}
		hls := func(id, peer, meeting, size, vod string, now time.Time) string {
			return `{"beam_id":"` + id + `","job_id":"` + id + `","room_id":"ROOM","session_id":"S","template_id":"TEMPLATE","peer_id":"` + peer + `","metadata_id":"META","metadata_timestamp":"` +
				stamp(now) + `","meeting_url":"` + meeting + `",` + size + `,"recording_single_file_per_layer_enabled":false,"recording_vod_playlist_enabled":` + vod + `,"session_started_at":"2024-01-24T08:14:00.101Z"`
		}
		const hd, none = `"max_width":1280,"max_height":720`, `"max_width":0,"max_height":0`
		compare(t, drain(t, s, seed), []string{
			head(at(2), "hls.started.success") + hls(l.ID, "p1", "https://m", hd, "true", at(2)) + `,"state_name":"HLSStarted","state_timestamp":"` + stamp(at(2)) + `","url":"https://a/m.m3u8","start_delay":2,"started_at":"` + stamp(at(2)) + `"}}`,
			head(at(12), "hls.stopped.success") + hls(l.ID, "p1", "https://m", hd, "true", at(12)) + `,"state_name":"HLSStopped","state_timestamp":"` + stamp(at(12)) + `","url":"https://a/m.m3u8","duration":10,"started_at":"` + stamp(at(2)) + `","stopped_at":"` + stamp(at(12)) + `","reason":"client request","live_transcription_enabled":false}}`,
			head(l2.CreatedAt, "hls.failure") + hls(l2.ID, "", "", none, "false", l2.CreatedAt) + `,"state_name":"HLSFailed","state_timestamp":"` + stamp(l2.CreatedAt) + `","duration":0,"error_type":"BEAM_STOPPED","error_message":"Beam stopped too early","error_code":1}}`,
		})
	})
}

func TestNoReceiverNoEvent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		_, err := s.OpenSession(t.Context(), "S", seed.Room.ID, start)
		check(t, err)
		if got := drain(t, s, seed); got != nil {
			t.Errorf("%v", got)
		}
		// A room's own webhook suffices, and beats the workspace's.
		own := Webhook{URL: "https://room.example"}
		_, err = s.ChangeRoom(t.Context(), seed.Workspace.ID, seed.Room.ID, func(r *Room) error { r.Webhook = &own; return nil })
		check(t, err)
		check(t, s.SetWebhook(t.Context(), seed.Workspace.ID, Webhook{URL: "https://workspace.example"}))
		check(t, s.CloseSession(t.Context(), "S", start))
		if got := drain(t, s, seed); len(got) != 1 {
			t.Errorf("%v", got)
		}
		want := Receiver{Webhook: own, Secrets: []string{seed.Workspace.WebhookSecret}}
		if got, err := s.Receiver(t.Context(), seed.Room.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// TestEventsShareTheTransaction: a change that fails leaves no event, an event that fails leaves no change.
func TestEventsShareTheTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		if _, err := s.OpenSession(ctx, "S", NewID(), start); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		check(t, s.update(ctx, func(t *tx) error { _, err := t.exec(`ALTER TABLE outbox RENAME TO gone`); return err }))
		if _, err := s.OpenSession(ctx, "S", seed.Room.ID, start); err == nil {
			t.Error("a session without its event")
		}
		check(t, s.update(ctx, func(t *tx) error { _, err := t.exec(`ALTER TABLE gone RENAME TO outbox`); return err }))
		if _, err := s.Session(ctx, "S"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the session is there: %v", err)
		}
		select {
		case <-s.Fresh():
			t.Error("announced an event that was rolled back")
		default:
		}
		if got := drain(t, s, seed); got != nil {
			t.Errorf("%v", got)
		}
	})
}

func TestRecover(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		_, err := s.OpenSession(ctx, "S", seed.Room.ID, start)
		check(t, err)
		check(t, s.PeerJoined(ctx, Peer{ID: "p", SessionID: "S", JoinedAt: start}, ""))
		l, err := s.StartLiveStream(ctx, LiveStream{RoomID: seed.Room.ID, SessionID: "S"})
		check(t, err)
		drain(t, s, seed)
		for _, want := range [][2]int{{1, 1}, {0, 0}} {
			sessions, streams, err := s.Recover(ctx, l.CreatedAt, 0)
			if got := [2]int{sessions, streams}; err != nil || got != want {
				t.Errorf("ended %v, want %v; %v", got, want, err)
			}
		}
		var kinds []string
		for _, e := range drain(t, s, seed) {
			var v struct{ Type string }
			check(t, json.Unmarshal([]byte(e), &v))
			kinds = append(kinds, v.Type)
		}
		if want := []string{"hls.failure", "peer.leave.success", "session.close.success"}; !reflect.DeepEqual(kinds, want) {
			t.Errorf("got %v, want %v", kinds, want)
		}
		// Of a session that goes on what is made of it does too, unless it was to end.
		_, err = s.OpenSession(ctx, "S2", seed.Room.ID, start)
		check(t, err)
		check(t, s.SaveLiveRoom(ctx, LiveRoom{RoomID: seed.Room.ID, SessionID: "S2", State: "{}"}))
		check(t, s.Beat(ctx, start))
		l, err = s.StartLiveStream(ctx, LiveStream{RoomID: seed.Room.ID, SessionID: "S2"})
		check(t, err)
		kindsOfJobs := []JobKind{Recording, ExternalStream}
		jobs := make(map[JobKind]string)
		for _, kind := range kindsOfJobs {
			j, err := s.StartJob(ctx, Job{Kind: kind, RoomID: seed.Room.ID})
			check(t, err)
			jobs[kind] = j.ID
		}
		check(t, last(s.JobRunning(ctx, jobs[Recording], start)))
		for left := 1; left >= 0; left-- {
			sessions, ended, err := s.Recover(ctx, start.Add(time.Second), time.Minute)
			if got, want := [2]int{sessions, ended}, [2]int{0, 3 * (1 - left)}; err != nil || got != want {
				t.Errorf("ended %v, want %v; %v", got, want, err)
			}
			if open, err := s.InterruptedLiveStreams(ctx); err != nil || len(open) != left || left > 0 && open[0].ID != l.ID {
				t.Errorf("%+v %v", open, err)
			}
			for _, kind := range kindsOfJobs {
				if open, err := s.InterruptedJobs(ctx, kind); err != nil || len(open) != left || left > 0 && open[0].ID != jobs[kind] {
					t.Errorf("%s: %+v %v", kind, open, err)
				}
			}
			if left > 0 {
				check(t, s.LiveStreamStopping(ctx, l.ID, "", start))
				for _, kind := range kindsOfJobs {
					check(t, last(s.JobStopping(ctx, jobs[kind], "", start)))
				}
			}
		}
	})
}

func TestOutbox(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		for _, id := range []string{"S1", "S2", "S3"} {
			_, err := s.OpenSession(ctx, id, seed.Room.ID, start)
			check(t, err)
		}
		<-s.Fresh()
		if got := s.FreshRooms(); !reflect.DeepEqual(got, []string{seed.Room.ID}) || len(s.FreshRooms()) != 0 {
			t.Errorf("fresh: %v", got)
		}
		if got, err := s.RoomsWithEvents(ctx); err != nil || !reflect.DeepEqual(got, []string{seed.Room.ID}) {
			t.Errorf("%v %v", got, err)
		}
		head := func() Event {
			t.Helper()
			events, err := s.NextEvents(ctx, seed.Room.ID, 1)
			if err != nil || len(events) != 1 {
				t.Fatalf("%v %v", events, err)
			}
			return events[0]
		}
		first := head()
		if first.Attempts != 0 || !first.NextAt.IsZero() {
			t.Errorf("%+v", first)
		}
		next := trunc(time.Now().Add(time.Hour))
		check(t, s.Settle(ctx, Outcome{Seq: first.Seq, Now: Pending, Reason: "500", At: start, Next: next}))
		if e := head(); e.Seq != first.Seq || e.Attempts != 1 || !e.NextAt.Equal(next) {
			t.Errorf("a failed event must stay the next one: %+v", e)
		}
		check(t, s.Settle(ctx, Outcome{Seq: first.Seq, Now: Dead, Reason: "500", At: start},
			Outcome{Seq: first.Seq, Now: Delivered, At: start})) // too late
		second := head()
		if second.Seq <= first.Seq {
			t.Errorf("%+v", second)
		}
		check(t, s.Settle(ctx, Outcome{Seq: second.Seq, Now: Delivered, At: start.Add(time.Hour)}))
		if got, err := s.CountEvents(ctx); err != nil || !reflect.DeepEqual(got, map[Delivery]int{Pending: 1, Delivered: 1, Dead: 1}) {
			t.Errorf("%v %v", got, err)
		}
		if n, err := s.PruneEvents(ctx, start.Add(time.Minute), 10); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if got, _ := s.CountEvents(ctx); !reflect.DeepEqual(got, map[Delivery]int{Pending: 1, Delivered: 1}) {
			t.Errorf("%v", got)
		}
		if events, err := s.NextEvents(ctx, NewID(), 1); len(events) != 0 || err != nil {
			t.Errorf("an event of no room: %v", err)
		}
	})
}

// TestPruneKeepsTheNewest: what is too much goes, oldest first, in more than one batch; what is pending stays.
func TestPruneKeepsTheNewest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		const finished, keep = pruneBatch + 20, 10
		s, seed := hooked(t, where)
		ctx := t.Context()
		check(t, s.update(ctx, func(tx *tx) error {
			if _, err := tx.room(seed.Room.ID); err != nil {
				return err
			}
			for range finished + 1 {
				if err := tx.event(seed.Room, start, "session.open.success", nil); err != nil {
					return err
				}
			}
			return nil
		}))
		events, err := s.NextEvents(ctx, seed.Room.ID, finished)
		check(t, err)
		var outcomes []Outcome
		for i, e := range events {
			outcomes = append(outcomes, Outcome{Seq: e.Seq, Now: Delivered, At: start.Add(time.Duration(i) * time.Second)})
		}
		check(t, s.Settle(ctx, outcomes...))
		if n, err := s.PruneEvents(ctx, time.Time{}, keep); err != nil || n != finished-keep {
			t.Errorf("pruned %d, %v", n, err)
		}
		var oldest int64
		check(t, s.query(ctx).row(`SELECT MIN(seq) FROM outbox`).Scan(&oldest))
		if got, _ := s.CountEvents(ctx); !reflect.DeepEqual(got, map[Delivery]int{Pending: 1, Delivered: keep}) || oldest != events[finished-keep].Seq {
			t.Errorf("%v, oldest %d", got, oldest)
		}
	})
}
