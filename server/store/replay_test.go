package store

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// lettersOf makes n finished events in the seeded room: of each three the first is delivered, the others are dead.
func lettersOf(t *testing.T, s *Store, seed Seeded, n int) []Event {
	t.Helper()
	for i := range n {
		_, err := s.OpenSession(t.Context(), fmt.Sprint("S", i), seed.Room.ID, start)
		check(t, err)
	}
	events, err := s.NextEvents(t.Context(), seed.Room.ID, n)
	check(t, err)
	for i, e := range events {
		o := Outcome{Seq: e.Seq, Now: Delivered, URL: "https://a.example", At: time.Now()}
		if i%3 != 0 {
			o.Now, o.Reason = Dead, "timeout"
		}
		check(t, s.Settle(t.Context(), o))
	}
	return events
}

func TestWebhookHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		events := lettersOf(t, s, seed, 9)
		check(t, s.CloseSession(ctx, "S0", start)) // pending, and tried once
		last, err := s.NextEvents(ctx, seed.Room.ID, 1)
		check(t, err)
		check(t, s.Settle(ctx, Outcome{Seq: last[0].Seq, Now: Pending, URL: "https://a.example", Reason: "500", At: start, Next: start}))
		check(t, s.CloseSession(ctx, "S1", start)) // not tried yet: not in the history

		minute := time.Now().Add(time.Minute)
		for name, c := range map[string]struct {
			filter HistoryFilter
			want   int
		}{
			"all":        {HistoryFilter{}, 10},
			"delivered":  {HistoryFilter{State: Delivered}, 3},
			"failed":     {HistoryFilter{State: Pending}, 7},
			"dead":       {HistoryFilter{State: Dead}, 6},
			"of room":    {HistoryFilter{RoomID: seed.Room.ID, From: minute.Add(-time.Hour), To: minute}, 10},
			"of no room": {HistoryFilter{RoomID: NewID()}, 0},
			"of types":   {HistoryFilter{Types: []string{"session.close.success", "x"}}, 1},
			"later":      {HistoryFilter{From: minute}, 0},
			"earlier":    {HistoryFilter{To: minute.Add(-time.Hour)}, 0},
		} {
			list, total, err := s.WebhookHistory(ctx, seed.Workspace.ID, c.filter, 100, 0)
			if err != nil || total != c.want || len(list) != c.want {
				t.Errorf("%s: %d of %d, want %d; %v", name, len(list), total, c.want, err)
			}
		}
		list, total, err := s.WebhookHistory(ctx, seed.Workspace.ID, HistoryFilter{State: Dead}, 2, 1)
		if err != nil || total != 6 || len(list) != 2 || list[0].Seq != events[7].Seq || list[1].Seq != events[5].Seq ||
			list[0].Reason != "timeout" || list[0].URL != "https://a.example" || list[0].State != Dead || len(list[0].Payload) == 0 {
			t.Errorf("%d %+v %v", total, list, err)
		}
		if _, total, err := s.WebhookHistory(ctx, NewID(), HistoryFilter{}, 10, 0); total != 0 || err != nil {
			t.Errorf("another workspace sees %d, %v", total, err)
		}
	})
}

func TestReplay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx, ws := t.Context(), seed.Workspace.ID
		events := lettersOf(t, s, seed, 9)
		all := ReplayFilter{HistoryFilter: HistoryFilter{State: Dead}, Limit: 100}
		from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Minute)
		r, started, err := s.StartReplay(ctx, ws, all, from, to)
		if err != nil || !started || r.Total != 6 || !r.FinishedAt.IsZero() {
			t.Fatalf("%+v %v %v", r, started, err)
		}
		<-s.ReplayStarted()
		if again, started, err := s.StartReplay(ctx, ws, all, from, to); err != nil || started || again.ID != r.ID {
			t.Errorf("%+v %v %v", again, started, err)
		}
		page := all
		page.Limit, page.Offset = 2, 3
		if r, started, err := s.StartReplay(ctx, ws, page, from, to); err != nil || !started || r.Total != 2 {
			t.Errorf("a page: %+v %v %v", r, started, err)
		} else if e, ok, err := s.NextReplayed(ctx, r.ID); err != nil || !ok || e.Seq != events[5].Seq {
			t.Errorf("a page begins with %d: %v", e.Seq, err)
		}
		// Nothing to do is done at once.
		none := all
		none.RoomID = NewID()
		if r, _, err := s.StartReplay(ctx, ws, none, from, to); err != nil || r.Total != 0 || r.FinishedAt.IsZero() {
			t.Errorf("%+v %v", r, err)
		}

		// The first is delivered, the second fails, the third is forgotten meanwhile; the others are delivered.
		check(t, s.update(ctx, func(tx *tx) error {
			_, err := tx.exec(`DELETE FROM outbox WHERE seq = ?`, events[4].Seq)
			return err
		}))
		var sent []int64
		for {
			e, ok, err := s.NextReplayed(ctx, r.ID)
			check(t, err)
			if !ok {
				break
			}
			reason := ""
			if sent = append(sent, e.Seq); len(sent) == 2 {
				reason = "500"
			}
			check(t, s.SettleReplayed(ctx, r.ID, e.Seq, "https://b.example", reason))
			check(t, s.SettleReplayed(ctx, r.ID, e.Seq, "https://b.example", "twice counts once"))
		}
		check(t, s.FinishReplay(ctx, r.ID, time.Now()))
		if want := []int64{events[1].Seq, events[2].Seq, events[5].Seq, events[7].Seq, events[8].Seq}; !reflect.DeepEqual(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
		got, err := s.Replay(ctx, ws, r.ID)
		if err != nil || got.Total != 6 || got.Delivered != 4 || got.Failed != 2 || got.FinishedAt.IsZero() || !reflect.DeepEqual(got.Filter, all) {
			t.Errorf("%+v %v", got, err)
		}
		if list, err := s.ReplayFailures(ctx, r.ID, 10); err != nil || len(list) != 1 || list[0].ID != events[2].ID || list[0].Reason != "500" {
			t.Errorf("%+v %v", list, err)
		}
		if n, _ := s.CountEvents(ctx); n[Dead] != 1 || n[Delivered] != 7 {
			t.Errorf("a replayed dead letter is one still: %v", n)
		}
		if _, err := s.Replay(ctx, NewID(), r.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's replay: %v", err)
		}
		if list, err := s.RunningReplays(ctx); err != nil || len(list) != 1 || list[0].Filter.Offset != 3 {
			t.Errorf("%+v %v", list, err)
		}

		// No more than so many run.
		for i := range maxRunningReplays {
			f := all
			f.State, f.Offset = "", i
			if _, _, err = s.StartReplay(ctx, ws, f, from, to); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrTooMany) {
			t.Errorf("got %v", err)
		}
		check(t, s.PruneReplays(ctx, time.Now().Add(time.Hour)))
		if _, err := s.Replay(ctx, ws, r.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("a pruned replay: %v", err)
		}
		var left int
		check(t, s.query(ctx).row(`SELECT COUNT(*) FROM replay_events WHERE replay_id = ?`, r.ID).Scan(&left))
		if running, err := s.RunningReplays(ctx); err != nil || len(running) != maxRunningReplays || left != 0 {
			t.Errorf("%d run, %d rows left; %v", len(running), left, err)
		}
	})
}

func TestReplaceWebhookSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		secrets := []string{seed.Workspace.WebhookSecret}
		for range 3 {
			fresh, err := s.ReplaceWebhookSecret(ctx, seed.Workspace.ID, time.Hour)
			check(t, err)
			secrets = append([]string{fresh}, secrets...)
			time.Sleep(2 * time.Millisecond) // each has a time of its own
		}
		r, err := s.Receiver(ctx, seed.Room.ID)
		if err != nil || !reflect.DeepEqual(r.Secrets, secrets[:maxSignatures]) {
			t.Errorf("%v, want %v; %v", r.Secrets, secrets[:maxSignatures], err)
		}
		// Without overlap the old one is worth nothing at once.
		fresh, err := s.ReplaceWebhookSecret(ctx, seed.Workspace.ID, -time.Second)
		check(t, err)
		if r, err := s.Receiver(ctx, seed.Room.ID); err != nil || r.Secrets[0] != fresh || r.Secrets[1] == secrets[0] {
			t.Errorf("%v %v", r.Secrets, err)
		}
		if _, err := s.ReplaceWebhookSecret(ctx, NewID(), 0); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}
