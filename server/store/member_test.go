package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// addMember makes a member as an invitation does.
func addMember(t *testing.T, s *Store, workspaceID, email, role string) Member {
	t.Helper()
	l := MemberLink{ID: NewID(), Hash: "hash of " + email, WorkspaceID: workspaceID, Email: email, Role: role,
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	if err := s.AddMemberLink(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	m, err := s.UseMemberLink(t.Context(), l.Hash, Member{ID: NewID(), Name: "Name of " + email, Password: "hash"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMembers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		w := seed.Workspace.ID
		ann := addMember(t, s, w, "Ann@example.org", RoleAdmin)
		bob := addMember(t, s, w, "bob@example.org", "viewer")

		if got, err := s.MemberByEmail(ctx, "aNN@example.org"); err != nil || got.ID != ann.ID {
			t.Errorf("by address: %v, %v", got, err)
		}
		if _, err := s.Member(ctx, NewID(), ann.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("a member of another workspace: %v", err)
		}
		demote := func(m *Member) error { m.Role = "viewer"; return nil }
		if _, err := s.ChangeMember(ctx, w, ann.ID, demote); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("the last admin's role: %v", err)
		}
		if err := s.RemoveMember(ctx, w, ann.ID); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("the last admin: %v", err)
		}
		steal := func(m *Member) error { m.Email = "ANN@example.org"; return nil }
		if _, err := s.ChangeMember(ctx, w, bob.ID, steal); !errors.Is(err, ErrConflict) {
			t.Errorf("another's address: %v", err)
		}
		if _, err := s.ChangeMember(ctx, w, bob.ID, func(m *Member) error { m.Role = RoleAdmin; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.OpenMemberSession(ctx, MemberSession{ID: NewID(), Hash: "cookie", MemberID: ann.ID, SeenAt: time.Now()}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveMember(ctx, w, ann.ID); err != nil {
			t.Errorf("one of two admins: %v", err)
		}
		if _, _, err := s.MemberSession(ctx, "cookie"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the session of who was removed: %v", err)
		}
	})
}

// Two admins who remove each other at the same time do not leave a workspace without any.
func TestLastAdminStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		w := seed.Workspace.ID
		admins := []Member{addMember(t, s, w, "a@example.org", RoleAdmin), addMember(t, s, w, "b@example.org", RoleAdmin)}
		done := make(chan error)
		for _, m := range admins {
			go func() { done <- s.RemoveMember(t.Context(), w, m.ID) }()
		}
		errs := []error{<-done, <-done}
		left, err := s.Members(t.Context(), w)
		if err != nil || len(left) != 1 || !errors.Is(errors.Join(errs...), ErrLastAdmin) {
			t.Errorf("%d are left, %v: %v", len(left), err, errs)
		}
	})
}

func TestMemberLinks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		w := seed.Workspace.ID
		link := func(hash, memberID, email string, expires time.Duration) MemberLink {
			l := MemberLink{ID: NewID(), Hash: hash, WorkspaceID: w, MemberID: memberID, Email: email, Role: RoleAdmin,
				CreatedAt: time.Now(), ExpiresAt: time.Now().Add(expires)}
			if err := s.AddMemberLink(ctx, l); err != nil {
				t.Fatal(err)
			}
			return l
		}
		link("first", "", "", time.Hour)
		link("second", "", "", time.Hour)
		key := &Passkey{ID: "key", Credential: "{}"}
		ann := Member{ID: NewID(), Name: "Ann", Email: "ann@example.org"}
		key.MemberID = ann.ID
		ann, err := s.UseMemberLink(ctx, "first", ann, key)
		if err != nil || ann.Role != RoleAdmin {
			t.Fatal(ann, err)
		}
		if keys, err := s.Passkeys(ctx, ann.ID); err != nil || len(keys) != 1 {
			t.Errorf("passkeys: %v, %v", keys, err)
		}
		if _, err := s.MemberLink(ctx, "first"); !errors.Is(err, ErrUsed) {
			t.Errorf("used: %v", err)
		}
		mallory := Member{ID: NewID(), Name: "Mallory", Email: "mallory@example.org"}
		if _, err := s.UseMemberLink(ctx, "first", mallory, nil); !errors.Is(err, ErrUsed) {
			t.Errorf("used again: %v", err)
		}
		if _, err := s.UseMemberLink(ctx, "second", mallory, nil); !errors.Is(err, ErrUsed) {
			t.Errorf("another first admin: %v", err)
		}
		link("late", "", "late@example.org", -time.Second)
		if _, err := s.UseMemberLink(ctx, "late", mallory, nil); !errors.Is(err, ErrExpired) {
			t.Errorf("late: %v", err)
		}
		signIn := link("signin", ann.ID, "", time.Hour)
		if got, err := s.UseMemberLink(ctx, "signin", Member{}, nil); err != nil || got.ID != ann.ID {
			t.Errorf("%s signs in: %v, %v", signIn.ID, got, err)
		}
		invited := link("invited", "", "bob@example.org", time.Hour)
		if list, err := s.Invitations(ctx, w); err != nil || len(list) != 1 || list[0].ID != invited.ID {
			t.Errorf("invitations: %v, %v", list, err)
		}
		if err := s.RemoveMemberLink(ctx, NewID(), invited.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("taken back in another workspace: %v", err)
		}
		if err := s.RemoveMemberLink(ctx, w, invited.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.MemberLink(ctx, "invited"); !errors.Is(err, ErrNotFound) {
			t.Errorf("taken back: %v", err)
		}

		// The only way in stays.
		if err := s.RemovePasskey(ctx, ann.ID, "key"); !errors.Is(err, ErrConflict) {
			t.Errorf("the only passkey: %v", err)
		}
		if err := s.AddPasskey(ctx, Passkey{ID: "other", MemberID: ann.ID, Credential: "{}"}); err != nil {
			t.Fatal(err)
		}
		if err := s.RemovePasskey(ctx, ann.ID, "key"); err != nil {
			t.Errorf("one of two passkeys: %v", err)
		}
	})
}

func TestMemberSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		ann := addMember(t, s, seed.Workspace.ID, "ann@example.org", RoleAdmin)
		now := trunc(time.Now())
		open := func(hash string, seen time.Time) string {
			id := NewID()
			if err := s.OpenMemberSession(ctx, MemberSession{ID: id, Hash: hash, MemberID: ann.ID, Agent: "Firefox", CreatedAt: seen, SeenAt: seen}, now.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			return id
		}
		open("old", now.Add(-2*time.Hour))
		first := open("new", now)
		if _, _, err := s.MemberSession(ctx, "old"); !errors.Is(err, ErrNotFound) {
			t.Errorf("an idle session: %v", err)
		}
		if err := s.SeeMemberSession(ctx, first, "192.0.2.1", now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		got, m, err := s.MemberSession(ctx, "new")
		if err != nil || m != ann || got.Address != "192.0.2.1" || !got.SeenAt.Equal(now.Add(time.Minute)) {
			t.Errorf("%+v of %+v, %v", got, m, err)
		}
		for i := range MaxMemberSessions {
			open(fmt.Sprint("one of many ", i), now.Add(time.Hour))
		}
		if _, _, err := s.MemberSession(ctx, "new"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the session unused for longest: %v", err)
		}
		list, err := s.MemberSessions(ctx, ann.ID)
		if err != nil || len(list) != MaxMemberSessions {
			t.Fatal(len(list), err)
		}
		if err := s.CloseMemberSession(ctx, NewID(), list[0].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("another's session: %v", err)
		}
		if err := s.CloseMemberSessions(ctx, ann.ID, list[0].ID); err != nil {
			t.Fatal(err)
		}
		if list, err := s.MemberSessions(ctx, ann.ID); err != nil || len(list) != 1 {
			t.Errorf("%d sessions, %v", len(list), err)
		}
	})
}

func TestChallengeIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		err := errors.Join(s.AddChallenge(ctx, "a", "{}", time.Now().Add(time.Hour)), s.AddChallenge(ctx, "late", "{}", time.Now().Add(-time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.TakeChallenge(ctx, "a"); err != nil || got != "{}" {
			t.Error(got, err)
		}
		for _, id := range []string{"a", "late"} {
			if _, err := s.TakeChallenge(ctx, id); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

func TestAudit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		w := seed.Workspace.ID
		for i, action := range []string{"room.create", "app.create", "room.create", "app.delete"} {
			who := fmt.Sprint("member ", i%2)
			if err := s.AddAudit(ctx, AuditEntry{ID: NewID(), WorkspaceID: w, MemberID: who, Member: who, Action: action, What: fmt.Sprint(i), CreatedAt: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		what := func(f AuditFilter, p Page) (list []string) {
			entries, err := s.Audit(ctx, w, f, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				list = append(list, e.What)
			}
			return list
		}
		if got := what(AuditFilter{Action: "room.create"}, Page{Limit: 10}); !slices.Equal(got, []string{"2", "0"}) {
			t.Errorf("of an action: %v", got)
		}
		if got := what(AuditFilter{MemberID: "member 1"}, Page{Limit: 1}); !slices.Equal(got, []string{"3"}) {
			t.Errorf("of a member: %v", got)
		}
		if got, err := s.AuditActions(ctx, w); err != nil || !slices.Equal(got, []string{"app.create", "app.delete", "room.create"}) {
			t.Errorf("actions: %v, %v", got, err)
		}
		later := time.Now().Add(AuditKept + time.Hour)
		if err := s.AddAudit(ctx, AuditEntry{ID: NewID(), WorkspaceID: w, Action: "late", What: "late", CreatedAt: later}); err != nil {
			t.Fatal(err)
		}
		if got := what(AuditFilter{}, Page{Limit: 10}); !slices.Equal(got, []string{"late"}) {
			t.Errorf("after more than a year: %v", got)
		}
	})
}
