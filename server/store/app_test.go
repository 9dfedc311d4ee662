package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/store/storetest"
)

func TestCheckSubdomain(t *testing.T) {
	for _, good := range []string{"a", "town-hall", "2026", "a1", strings.Repeat("x", 63)} {
		check(t, CheckSubdomain(good))
	}
	for _, bad := range []string{"", "A", "-a", "a-", "a.b", "a_b", "ä", "a b", "xn--bcher-kva", "www", "api", strings.Repeat("x", 64), "a\n", "<b>"} {
		if err := CheckSubdomain(bad); !errors.Is(err, ErrSubdomain) {
			t.Errorf("%q is taken as a subdomain: %v", bad, err)
		}
	}
}

// TestApps makes an app, is refused what would make two of a name, and deletes it.
func TestApps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w := t.Context(), seed.Workspace.ID
		app := func(name, subdomain string) Template {
			k, _ := policy.KitOf("webinar")
			p := *k.Template(policy.Choices{})
			p.Name = name
			return Template{WorkspaceID: w, Policy: p, Subdomain: subdomain}
		}
		newCode := func() string { return strings.ToLower(NewID()) }
		made, room, err := s.MakeApp(ctx, app("Talks", "talks"), newCode)
		check(t, err)
		codes, err := s.RoomCodes(ctx, room.ID, CodeFilter{}, Page{Limit: 100})
		check(t, err)
		if len(codes) != len(made.Policy.Roles) || room.Name != "talks" || !room.Enabled || room.TemplateID != made.ID {
			t.Errorf("room %+v with %d codes", room, len(codes))
		}
		if found, err := s.App(ctx, "talks"); err != nil || found.ID != made.ID || len(found.Policy.Roles) != 4 {
			t.Errorf("the app is %+v, %v", found, err)
		}
		if found, err := s.App(ctx, StarterSubdomain); err != nil || found.ID != seed.Room.TemplateID {
			t.Errorf("the starter app: %+v, %v", found, err)
		}
		for _, unknown := range []string{"", "other"} {
			if _, err := s.App(ctx, unknown); !errors.Is(err, ErrNotFound) {
				t.Errorf("app %q: %v", unknown, err)
			}
		}

		// What fails leaves nothing behind.
		if _, _, err := s.MakeApp(ctx, app("Talks 2", "talks"), newCode); !errors.Is(err, ErrSubdomainTaken) {
			t.Errorf("the subdomain is taken: %v", err)
		}
		if _, _, err := s.MakeApp(ctx, app("Talks", "talks-2"), newCode); !errors.Is(err, ErrConflict) || errors.Is(err, ErrSubdomainTaken) {
			t.Errorf("the name is taken: %v", err)
		}
		if _, _, err := s.MakeApp(ctx, app("Talks 3", "no way"), newCode); !errors.Is(err, ErrSubdomain) {
			t.Errorf("that is no subdomain: %v", err)
		}
		if _, _, err := s.MakeApp(ctx, app("Talks 4", "talks-4"), func() string { return codes[0].Code }); err == nil {
			t.Error("made without codes")
		}
		all, err := s.Templates(ctx, w, "", Page{Limit: 10})
		check(t, err)
		counts, err := s.AppRooms(ctx, []string{all[0].ID, all[1].ID, "none"})
		check(t, err)
		if len(all) != 2 || counts[made.ID] != 1 || len(counts) != 2 {
			t.Errorf("%d templates, rooms %v", len(all), counts)
		}

		// A room of that name is no reason to refuse.
		_, err = s.SaveRoom(ctx, w, "fair", func(*Room) error { return nil })
		check(t, err)
		second, other, err := s.MakeApp(ctx, app("Fair", "fair"), newCode)
		check(t, err)
		if !strings.HasPrefix(other.Name, "fair-") {
			t.Errorf("room %q", other.Name)
		}
		taken, err := s.SubdomainTaken(ctx, "fair", "")
		check(t, err)
		own, err := s.SubdomainTaken(ctx, "fair", second.ID)
		check(t, err)
		if !taken || own {
			t.Errorf("taken %v, by itself %v", taken, own)
		}
		// Another name of the app; that of another app is refused, and nothing of the change is kept.
		_, err = s.ChangeTemplate(ctx, w, second.ID, func(t *Template) error { t.Subdomain = "market"; return nil })
		check(t, err)
		_, err = s.ChangeTemplate(ctx, w, second.ID, func(t *Template) error { t.Subdomain, t.Policy.Name = "talks", "Thief"; return nil })
		if !errors.Is(err, ErrSubdomainTaken) {
			t.Errorf("the subdomain of another app: %v", err)
		}
		if same, err := s.App(ctx, "market"); err != nil || same.Policy.Name != "Fair" {
			t.Errorf("after a refused change: %+v, %v", same, err)
		}

		// Deleting.
		_, err = s.OpenSession(ctx, NewID(), room.ID, time.Now())
		check(t, err)
		if err := s.DeleteApp(ctx, w, made.ID); !errors.Is(err, ErrLive) {
			t.Errorf("deleted while live: %v", err)
		}
		if r, _ := s.Room(ctx, w, room.ID); !r.Enabled {
			t.Error("what was refused has closed the room")
		}
		if err := s.DeleteApp(ctx, w, seed.Room.TemplateID); !errors.Is(err, ErrDefault) {
			t.Errorf("the default app: %v", err)
		}
		if err := s.DeleteApp(ctx, NewID(), second.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("of another workspace: %v", err)
		}
		check(t, s.DeleteApp(ctx, w, second.ID))
		r, err := s.Room(ctx, w, other.ID)
		check(t, err)
		if r.Enabled || r.TemplateID != seed.Room.TemplateID {
			t.Errorf("the room of a deleted app: %+v", r)
		}
		if _, err := s.Template(ctx, w, second.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("the deleted app: %v", err)
		}
	})
}
