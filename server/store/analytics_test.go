package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

func TestAnalytics(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, ws, room := t.Context(), seed.Workspace.ID, seed.Room.ID
		if seq, err := s.NewestAnalytics(ctx); err != nil || seq != 0 {
			t.Errorf("%d %v", seq, err)
		}
		at := func(i int) time.Time { return trunc(start.Add(time.Duration(i) * time.Second)) }
		want := []AnalyticsEvent{
			{ID: "0", WorkspaceID: ws, RoomID: room, SessionID: "S1", PeerID: "p1", UserID: "u1", Type: "track.add.success", Data: json.RawMessage(`{"a":"ä"}`), At: at(0)},
			{ID: "1", WorkspaceID: ws, RoomID: room, SessionID: "S1", PeerID: "p2", UserID: "u2", Type: "client.publish.failed", Error: true, Data: json.RawMessage(`{}`), At: at(1)},
			{ID: "2", WorkspaceID: ws, RoomID: room, SessionID: "S2", BeamID: "B", Type: "beam.recording.success", Data: json.RawMessage(`{}`), At: at(2)},
			{ID: "3", WorkspaceID: ws, RoomID: NewID(), SessionID: "S3", Type: "track.add.success", Data: json.RawMessage(`{}`), At: at(3)},
		}
		report := PeerReport{WorkspaceID: ws, RoomID: room, SessionID: "S1", PeerID: "p1", Report: json.RawMessage(`{"n":1}`), At: at(0)}
		check(t, s.AddAnalytics(ctx, want, []PeerReport{report, {WorkspaceID: ws, SessionID: "S1", PeerID: "p2", Report: json.RawMessage(`{}`), At: at(9)}}))
		newest, err := s.NewestAnalytics(ctx)
		check(t, err)

		yes, no := true, false
		for name, c := range map[string]struct {
			filter AnalyticsFilter
			want   string // ids
		}{
			"all":     {AnalyticsFilter{}, "210"},
			"session": {AnalyticsFilter{SessionID: "S1"}, "10"},
			"peer":    {AnalyticsFilter{PeerID: "p1"}, "0"},
			"user":    {AnalyticsFilter{UserID: "u2"}, "1"},
			"beam":    {AnalyticsFilter{BeamID: "B"}, "2"},
			"types":   {AnalyticsFilter{Types: []string{"track.add.success", "beam.recording.success"}}, "20"},
			"errors":  {AnalyticsFilter{Error: &yes}, "1"},
			"others":  {AnalyticsFilter{Error: &no}, "20"},
			"older":   {AnalyticsFilter{Newest: newest - 2}, "10"},
		} {
			f := c.filter
			f.RoomID = room
			if f.Newest == 0 {
				f.Newest = newest
			}
			list, total, err := s.AnalyticsEvents(ctx, ws, f, 0, 100)
			got := ""
			for _, e := range list {
				got += e.ID
			}
			if err != nil || got != c.want || total != len(c.want) {
				t.Errorf("%s: %s (%d), want %s; %v", name, got, total, c.want, err)
			}
		}
		all := AnalyticsFilter{RoomID: room, Newest: newest}
		first, total, err := s.AnalyticsEvents(ctx, ws, all, 0, 2)
		if err != nil || total != 3 || len(first) != 2 {
			t.Fatalf("%d %+v %v", total, first, err)
		}
		rest, total, err := s.AnalyticsEvents(ctx, ws, all, first[1].Seq, 2)
		if err != nil || total != 3 || len(rest) != 1 {
			t.Fatalf("%d %+v %v", total, rest, err)
		}
		want[0].Seq = rest[0].Seq
		if !reflect.DeepEqual(rest[0], want[0]) {
			t.Errorf("got  %+v\nwant %+v", rest[0], want[0])
		}
		if _, total, err := s.AnalyticsEvents(ctx, NewID(), all, 0, 2); total != 0 || err != nil {
			t.Errorf("another workspace sees %d, %v", total, err)
		}
		if got, err := s.PeerReports(ctx, "S1", "p1"); err != nil || !reflect.DeepEqual(got, []PeerReport{report}) {
			t.Errorf("%+v %v", got, err)
		}

		if n, err := s.PruneAnalytics(ctx, at(1), 100); err != nil || n != 2 { // one event, one report
			t.Errorf("pruned %d by age, %v", n, err)
		}
		if n, err := s.PruneAnalytics(ctx, time.Time{}, 1); err != nil || n != 2 {
			t.Errorf("pruned %d by number, %v", n, err)
		}
	})
}
