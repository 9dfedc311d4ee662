package store

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/store/storetest"
)

func TestMain(m *testing.M) {
	if where := os.Getenv(writerEnv); where != "" {
		writeMuch(where)
		return
	}
	goleak.VerifyTestMain(m)
}

// open returns a store on the database there. It may be opened again after it was closed, or beside it.
func open(t *testing.T, where string) *Store {
	t.Helper()
	s, err := Open(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// counter makes room codes that can be foretold.
func counter() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("abc-defg-%03d", n) }
}

func seeded(t *testing.T, where string) (*Store, Seeded) {
	t.Helper()
	s := open(t, where)
	seed, err := s.Seed(t.Context(), counter())
	if err != nil {
		t.Fatal(err)
	}
	return s, seed
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenMakesAndReopens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		for range 2 {
			s := open(t, where)
			var n int
			check(t, s.query(t.Context()).row(`SELECT COUNT(*) FROM migrations`).Scan(&n))
			if files, _ := migrations.ReadDir("migrations"); n != len(files) {
				t.Errorf("%d migrations applied of %d", n, len(files))
			}
			check(t, s.Ping(t.Context()))
			check(t, s.Check(t.Context()))
			check(t, s.Close())
		}
	})
}

func TestOpenRefusesNewerTables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		check(t, s.update(t.Context(), func(t *tx) error {
			_, err := t.exec(`INSERT INTO migrations VALUES (9999, 'from the future', 0)`)
			return err
		}))
		check(t, s.Close())
		if _, err := Open(t.Context(), where); err == nil || !strings.Contains(err.Error(), "newer amphi") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		first, err := s.Seed(t.Context(), counter())
		check(t, err)
		if !first.First || len(first.Key.Secret) < 32 || !IsID(first.Key.AccessKey) || !IsID(first.Workspace.ID) || !strings.HasPrefix(first.Workspace.WebhookSecret, "whsec_") {
			t.Errorf("%+v", first)
		}
		var roles []string
		for _, c := range first.Codes {
			roles = append(roles, c.Role)
		}
		if want := []string{"broadcaster", "viewer-realtime", "hls-viewer"}; !reflect.DeepEqual(roles, want) {
			t.Errorf("codes for %v, want %v", roles, want)
		}
		check(t, s.Close())
		s = open(t, where)
		second, err := s.Seed(t.Context(), counter())
		check(t, err)
		if second.First {
			t.Error("seeded twice")
		}
		first.First = false
		if !reflect.DeepEqual(first, second) {
			t.Errorf("first  %+v\nsecond %+v", first, second)
		}
	})
}

func TestWorkspace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		hook := Webhook{URL: "https://a.example", Headers: map[string]string{"X-Key": "v"}}
		check(t, s.SetWebhook(ctx, seed.Workspace.ID, hook))
		w, err := s.Workspace(ctx, seed.Workspace.ID)
		if err != nil || !reflect.DeepEqual(w.Webhook, hook) {
			t.Errorf("%+v %v", w, err)
		}
		if err := s.SetWebhook(ctx, NewID(), hook); !errors.Is(err, ErrNotFound) {
			t.Errorf("webhook of nobody: %v", err)
		}
		k, err := s.AccessKey(ctx, seed.Key.AccessKey)
		if err != nil || k != seed.Key {
			t.Errorf("%+v %v", k, err)
		}
		if _, err := s.AccessKey(ctx, NewID()); !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown key: %v", err)
		}
		keys, err := s.AccessKeys(ctx, seed.Workspace.ID)
		if err != nil || !reflect.DeepEqual(keys, []AccessKey{seed.Key}) {
			t.Errorf("%+v %v", keys, err)
		}
	})
}

func TestRoomTemplateVersion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		def, err := s.DefaultTemplate(ctx, seed.Workspace.ID)
		check(t, err)
		v, err := s.RoomTemplateVersion(ctx, seed.Room.ID)
		if want := (TemplateVersion{def.ID, def.UpdatedAt}); err != nil || v != want {
			t.Errorf("%v %v, want %v", v, err, want)
		}
		time.Sleep(2 * time.Millisecond) // what is stored has no finer time
		_, err = s.ChangeTemplate(ctx, seed.Workspace.ID, def.ID, func(*Template) error { return nil })
		check(t, err)
		if next, err := s.RoomTemplateVersion(ctx, seed.Room.ID); err != nil || next.TemplateID != v.TemplateID || !next.UpdatedAt.After(v.UpdatedAt) {
			t.Errorf("%v %v after %v", next, err, v)
		}
		if _, err := s.RoomTemplateVersion(ctx, NewID()); !errors.Is(err, ErrNotFound) {
			t.Errorf("of no room: %v", err)
		}
	})
}

func TestTemplates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		def, err := s.DefaultTemplate(ctx, seed.Workspace.ID)
		check(t, err)
		other := def
		other.ID, other.IsDefault, other.Policy.Name, other.Subdomain = "", false, "other", ""
		other, err = s.SaveTemplate(ctx, other)
		check(t, err)
		got, err := s.Template(ctx, seed.Workspace.ID, other.ID)
		if err != nil || !reflect.DeepEqual(got, other) {
			t.Errorf("got  %+v\nwant %+v %v", got, other, err)
		}
		other.Policy.Name = def.Policy.Name
		if _, err := s.SaveTemplate(ctx, other); !errors.Is(err, ErrConflict) {
			t.Errorf("a taken name: %v", err)
		}
		if _, err := s.Template(ctx, NewID(), other.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's template: %v", err)
		}
		other.Policy.Name, other.WorkspaceID = "x", NewID()
		if _, err := s.SaveTemplate(ctx, other); !errors.Is(err, ErrNotFound) {
			t.Errorf("saving somebody else's template: %v", err)
		}
		if got, err := s.DefaultTemplate(ctx, seed.Workspace.ID); err != nil || got.ID != def.ID {
			t.Errorf("%v %v", got.ID, err)
		}
	})
}

func TestRooms(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w := t.Context(), seed.Workspace.ID
		made, err := s.SaveRoom(ctx, w, "Town-Hall", func(r *Room) error {
			r.Description, r.Size, r.LargeRoom, r.Polls = "d", 5000, true, []string{NewID()}
			r.Webhook = &Webhook{URL: "https://a.example"}
			r.Recording = []byte(`{"enabled":true}`)
			return nil
		})
		check(t, err)
		got, err := s.Room(ctx, w, made.ID)
		if err != nil || !reflect.DeepEqual(got, made) {
			t.Errorf("got  %+v\nwant %+v %v", got, made, err)
		}
		if got.TemplateID != seed.Room.TemplateID || got.TemplateName != seed.Room.TemplateName || !got.Enabled {
			t.Errorf("%+v", got)
		}
		again, err := s.SaveRoom(ctx, w, "town-hall", func(r *Room) error { r.Size = 7; return nil })
		if err != nil || again.ID != made.ID || again.Description != "d" || again.Size != 7 {
			t.Errorf("%+v %v", again, err)
		}
		if _, err := s.ChangeRoom(ctx, w, made.ID, func(r *Room) error { r.Name = "MAIN-stage"; return nil }); !errors.Is(err, ErrConflict) {
			t.Errorf("a taken name: %v", err)
		}
		if _, err := s.ChangeRoom(ctx, w, made.ID, func(r *Room) error { r.TemplateID = NewID(); return nil }); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown template: %v", err)
		}
		stop := errors.New("stop")
		if _, err := s.ChangeRoom(ctx, w, made.ID, func(r *Room) error { r.Size = 8; return stop }); !errors.Is(err, stop) {
			t.Errorf("a refused change: %v", err)
		}
		if got, _ := s.AnyRoom(ctx, made.ID); !reflect.DeepEqual(got, again) {
			t.Errorf("a refused change was saved: %+v", got)
		}
		for _, f := range []func() error{
			func() error { _, err := s.Room(ctx, NewID(), made.ID); return err },
			func() error { _, err := s.Room(ctx, w, NewID()); return err },
			func() error {
				_, err := s.ChangeRoom(ctx, NewID(), made.ID, func(*Room) error { return nil })
				return err
			},
		} {
			if err := f(); !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestRoomList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w := t.Context(), seed.Workspace.ID
		want := []string{seed.Room.ID}
		for i := range 24 {
			r, err := s.SaveRoom(ctx, w, fmt.Sprintf("r%d", i), func(r *Room) error { r.Enabled = i%2 == 0; return nil })
			check(t, err)
			want = append([]string{r.ID}, want...) // newest first
		}
		var got []string
		for start := ""; ; {
			page, err := s.Rooms(ctx, w, RoomFilter{}, Page{Limit: 10, Start: start})
			check(t, err)
			for _, r := range page {
				got = append(got, r.ID)
			}
			if len(page) < 10 {
				break
			}
			start = page[9].ID
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		yes, no := true, false
		for _, tc := range []struct {
			f RoomFilter
			n int
		}{
			{RoomFilter{Enabled: &yes}, 13},
			{RoomFilter{Enabled: &no}, 12},
			{RoomFilter{Name: "R7"}, 1},
			{RoomFilter{TemplateID: NewID()}, 0},
			{RoomFilter{TemplateID: seed.Room.TemplateID}, 25},
			{RoomFilter{After: seed.Room.CreatedAt, Before: time.Now().Add(time.Second)}, 25},
			{RoomFilter{Before: seed.Room.CreatedAt.Add(-time.Millisecond)}, 0},
			{RoomFilter{After: time.Now().Add(time.Hour)}, 0},
		} {
			if got, err := s.Rooms(ctx, w, tc.f, Page{Limit: 100}); err != nil || len(got) != tc.n {
				t.Errorf("%+v: %d rooms, want %d; %v", tc.f, len(got), tc.n, err)
			}
		}
		if got, err := s.Rooms(ctx, NewID(), RoomFilter{}, Page{Limit: 100}); len(got) != 0 || err != nil {
			t.Errorf("somebody else sees %d rooms, %v", len(got), err)
		}
	})
}

func TestRoomCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, room := t.Context(), seed.Room.ID
		codes := func() string { return seed.Codes[0].Code } // always one that exists
		if _, err := s.AddRoomCode(ctx, room, "broadcaster", codes); err == nil {
			t.Error("the same code twice")
		}
		next := counter()
		more, err := s.AddRoomCode(ctx, room, "broadcaster", next) // the first three exist
		if err != nil || more.Code != "abc-defg-004" {
			t.Errorf("%+v %v", more, err)
		}
		all, err := s.CompleteRoomCodes(ctx, room, []string{"broadcaster", "host"}, next)
		check(t, err)
		state := make(map[string]bool)
		for _, c := range all {
			state[c.Role] = state[c.Role] || c.Enabled
		}
		if want := map[string]bool{"broadcaster": true, "host": true, "viewer-realtime": false, "hls-viewer": false}; !reflect.DeepEqual(state, want) {
			t.Errorf("got %v, want %v", state, want)
		}
		listed, err := s.RoomCodes(ctx, room, CodeFilter{}, Page{Limit: 100})
		check(t, err)
		for _, c := range all {
			one, err := s.RoomCode(ctx, c.Code)
			if err != nil || one != c {
				t.Errorf("%+v read back as %+v, %v", c, one, err)
			}
		}
		if len(listed) != len(all) {
			t.Errorf("%d listed of %d", len(listed), len(all))
		}
		yes := true
		if got, err := s.RoomCodes(ctx, room, CodeFilter{Role: "broadcaster", Enabled: &yes}, Page{Limit: 1}); err != nil || len(got) != 1 || got[0] != more {
			t.Errorf("%+v %v", got, err)
		}
		off, err := s.EnableRoomCode(ctx, more.Code, false)
		if err != nil || off.Enabled {
			t.Errorf("%+v %v", off, err)
		}
		if _, err := s.EnableRoomCode(ctx, "no-such-code", true); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		for i := len(all); i < MaxCodesPerRoom; i++ {
			_, err := s.AddRoomCode(ctx, room, "host", next)
			check(t, err)
		}
		if _, err := s.AddRoomCode(ctx, room, "host", next); !errors.Is(err, ErrTooMany) {
			t.Errorf("code 101: %v", err)
		}
	})
}

func TestIDs(t *testing.T) {
	at := time.Unix(0x65b0c1d2, 0)
	m := newIDMaker(func() time.Time { return at })
	first := m.next()
	if !IsID(first) || !strings.HasPrefix(first, "65b0c1d2") {
		t.Errorf("%q", first)
	}
	m.counter = 1<<24 - 1 // the next one runs over into the next second
	last := first
	for i, step := range []time.Duration{0, 0, -time.Hour, 2 * time.Hour} {
		at = at.Add(step)
		id := m.next()
		if id <= last {
			t.Errorf("step %d: %s is not after %s", i, id, last)
		}
		last = id
	}
	for _, bad := range []string{"", "65b0c1d2", strings.ToUpper(first), first + "0", first[:23] + "g"} {
		if IsID(bad) {
			t.Errorf("%q is an id", bad)
		}
	}
	seen := make(map[string]bool)
	for range 10000 {
		seen[NewID()] = true
	}
	if len(seen) != 10000 {
		t.Errorf("%d different ids of 10000", len(seen))
	}
}
