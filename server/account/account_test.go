package account

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amphi/server/auth"
	"amphi/server/store"
)

var here = netip.MustParseAddr("192.0.2.1")

// fixture is an empty workspace whose clock the test owns.
func fixture(t *testing.T) (a *Accounts, workspaceID string, now *time.Time) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seeded, err := db.Seed(t.Context(), auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	return &Accounts{Store: db, Now: func() time.Time { return clock }}, seeded.Workspace.ID, &clock
}

const goodPassword = "a few words to remember"

// first makes the first admin.
func first(t *testing.T, a *Accounts, workspaceID string) Member {
	t.Helper()
	secret, err := a.FirstLink(t.Context(), workspaceID)
	if err != nil || secret == "" {
		t.Fatal(secret, err)
	}
	m, err := a.Accept(t.Context(), secret, Person{" Ann ", "ann@example.org", goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFirstAdmin(t *testing.T) {
	a, w, _ := fixture(t)
	secret, whom, err := a.SignInLink(t.Context(), w, "")
	if err != nil || whom.ID != "" {
		t.Fatal(whom, err)
	}
	_, err = a.Accept(t.Context(), secret, Person{Email: "Ann <ann@example.org>", Password: "short"})
	for _, want := range []string{"what you are called", "no e-mail address", "Too short"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	ann := first(t, a, w) // by another link: the refused one is not used up
	if ann.Name != "Ann" || ann.Role != Admin || !ann.HasPassword {
		t.Errorf("%+v", ann)
	}
	if _, err := a.Accept(t.Context(), secret, Person{"Mallory", "m@example.org", goodPassword}); !errors.Is(err, store.ErrUsed) {
		t.Errorf("the first one's link, afterwards: %v", err)
	}
	if again, err := a.FirstLink(t.Context(), w); again != "" || err != nil {
		t.Errorf("a link for a second first admin: %v", err)
	}
	secret, whom, err = a.SignInLink(t.Context(), w, "")
	if err != nil || whom.ID != ann.ID {
		t.Fatal(whom, err)
	}
	if m, err := a.Use(t.Context(), secret); err != nil || m.ID != ann.ID {
		t.Error(m, err)
	}
	if _, err := a.Use(t.Context(), secret); !errors.Is(err, store.ErrUsed) {
		t.Errorf("used twice: %v", err)
	}
}

func TestPasswordRules(t *testing.T) {
	for password, good := range map[string]bool{
		goodPassword: true, "zehn Zeichen": true, "пароль из слов": true, "ninechars": false, "Password123": false, "abababababab": false,
		"ann@example.org": false, strings.Repeat("long ", 103): false, strings.Repeat("long ", 102): true,
	} {
		if err := checkPassword(password, "Ann", "ann@example.org"); (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// An unknown address has to cost what a known one costs: the hash it is held against has the parameters of the others.
func TestNobodysHashCostsTheSame(t *testing.T) {
	hash, err := hashPassword(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	cost := func(hash string) string { return strings.Join(strings.Split(hash, "$")[:4], "$") }
	if cost(hash) != cost(nobody) || len(hash) != len(nobody) {
		t.Errorf("%s\n%s", hash, nobody)
	}
	if fits, err := passwordFits(t.Context(), "", ""); fits || err != nil {
		t.Error("nobody has no password", err)
	}
	if _, err := passwordFits(t.Context(), "$argon2id$v=19$broken", "x"); err == nil {
		t.Error("a damaged hash is no error")
	}
}

func TestSignIn(t *testing.T) {
	a, w, now := fixture(t)
	ann := first(t, a, w)
	if m, err := a.SignIn(t.Context(), here, " ANN@example.org", goodPassword); err != nil || m != ann {
		t.Fatal(m, err)
	}
	_, wrong := a.SignIn(t.Context(), here, "ann@example.org", "wrong")
	_, unknown := a.SignIn(t.Context(), here, "nobody@example.org", "wrong")
	if !errors.Is(wrong, ErrWrong) || !errors.Is(unknown, ErrWrong) || wrong.Error() != unknown.Error() {
		t.Errorf("%v, %v", wrong, unknown)
	}

	// From many addresses at one member, known or not; and from one address at many members.
	for _, email := range []string{"ann@example.org", "nobody@example.org"} {
		var err error
		for i := 0; i < 20 && err == nil; i++ {
			err = a.Attempt(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), email)
		}
		var tooMany TooMany
		if !errors.As(err, &tooMany) || tooMany.After > memberInterval || !strings.Contains(err.Error(), "try again in") {
			t.Errorf("%s: %v", email, err)
		}
		if _, err := a.SignIn(t.Context(), netip.MustParseAddr("10.0.1.1"), email, goodPassword); !errors.As(err, &tooMany) {
			t.Errorf("%s with the right password: %v", email, err)
		}
	}
	*now = now.Add(memberInterval)
	if _, err := a.SignIn(t.Context(), here, "ann@example.org", goodPassword); err != nil {
		t.Errorf("after a while: %v", err)
	}
	v6 := []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff")}
	var err error
	for i := 0; i < 20 && err == nil; i++ {
		err = a.Attempt(v6[i%2], "")
	}
	if err == nil {
		t.Error("one customer line may try without end")
	}
}

func TestLimitsAreBounded(t *testing.T) {
	var l limits
	for i := range 3 * maxWatched {
		if err := l.take(time.Unix(0, 0), string(rune(i)), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.young) + len(l.old); n > maxWatched {
		t.Errorf("%d are remembered", n)
	}
}

func TestSessionsEnd(t *testing.T) {
	a, w, now := fixture(t)
	ann := first(t, a, w)
	start := *now
	open := func() string {
		secret, err := a.Open(t.Context(), ann, ByPassword, strings.Repeat("x", 1000), here.String())
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	secret := open()
	for *now = start; now.Sub(start) < SessionAbsolute; *now = now.Add(SessionIdle - time.Minute) {
		if m, _, err := a.Who(t.Context(), secret, here.String()); err != nil || m.ID != ann.ID {
			t.Fatalf("after %s: %v", now.Sub(start), err)
		}
	}
	if _, _, err := a.Who(t.Context(), secret, here.String()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("after 30 days of use: %v", err)
	}
	secret = open()
	*now = now.Add(SessionIdle)
	if _, _, err := a.Who(t.Context(), secret, here.String()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("after a week without use: %v", err)
	}
	if _, _, err := a.Who(t.Context(), "guessed", here.String()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("guessed: %v", err)
	}
}

func TestSetPassword(t *testing.T) {
	a, w, now := fixture(t)
	ann := first(t, a, w)
	enter := func(method string) (string, Session) {
		secret, err := a.Open(t.Context(), ann, method, "Firefox", here.String())
		if err != nil {
			t.Fatal(err)
		}
		_, session, err := a.Who(t.Context(), secret, here.String())
		if err != nil {
			t.Fatal(err)
		}
		return secret, session
	}
	other, _ := enter(ByPassword)
	mine, session := enter(ByPassword)
	var p Problem
	if err := a.SetPassword(t.Context(), here, ann, session, "wrong", "another good one"); !errors.As(err, &p) || p.Field != "current" {
		t.Errorf("with a wrong one: %v", err)
	}
	if err := a.SetPassword(t.Context(), here, ann, session, goodPassword, "another good one"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Who(t.Context(), other, here.String()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("elsewhere: %v", err)
	}
	if _, _, err := a.Who(t.Context(), mine, here.String()); err != nil {
		t.Errorf("here: %v", err)
	}
	_, session = enter(ByLink)
	if err := a.SetPassword(t.Context(), here, ann, session, "", "forgot the other one"); err != nil {
		t.Errorf("by a link: %v", err)
	}
	secret, _ := enter(ByLink)
	*now = now.Add(byLink)
	if _, session, err := a.Who(t.Context(), secret, here.String()); err != nil || session.ByLink() {
		t.Errorf("a link's session stays trusted: %v", err)
	}
}

// Another way in is for who has just come in, or knows the password: not for who finds a browser open.
func TestConfirm(t *testing.T) {
	a, w, now := fixture(t)
	ann := first(t, a, w)
	came := func(method string, ago time.Duration) Session {
		t.Helper()
		then := *now
		*now = then.Add(-ago)
		secret, err := a.Open(t.Context(), ann, method, "Firefox", here.String())
		if err != nil {
			t.Fatal(err)
		}
		*now = then
		_, session, err := a.Who(t.Context(), secret, here.String())
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	for _, test := range []struct {
		method, password string
		ago              time.Duration
		wrong            string // a part of the problem
	}{
		{ByPassword, "", freshWithin - time.Second, ""},
		{ByPassword, "", freshWithin, "Type your current password"},
		{ByPassword, "another good one", freshWithin, "not your current password"},
		{ByPasskey, goodPassword, 24 * time.Hour, ""},
		{ByLink, "", byLink - time.Second, ""},
		{ByLink, "", byLink, "Type your current password"},
	} {
		err := a.Confirm(t.Context(), here, ann, came(test.method, test.ago), "proof", test.password)
		var p Problem
		if test.wrong == "" && err != nil || test.wrong != "" && (!errors.As(err, &p) || p.Field != "proof" || !strings.Contains(p.Text, test.wrong)) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	for range attemptsAtOnce {
		_ = a.Confirm(t.Context(), here, ann, came(ByPassword, time.Hour), "proof", "guessed")
	}
	var tooMany TooMany
	if err := a.Confirm(t.Context(), here, ann, came(ByPassword, time.Hour), "proof", goodPassword); !errors.As(err, &tooMany) {
		t.Errorf("guessing goes on: %v", err)
	}

	// Who has a passkey only signs in again, also to set a first password.
	if _, err := a.Store.ChangeMember(t.Context(), w, ann.ID, func(m *store.Member) error { m.Password = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	var p Problem
	if err := a.Confirm(t.Context(), here, ann, came(ByPasskey, time.Hour), "proof", ""); !errors.As(err, &p) || !strings.Contains(p.Text, "Sign out and in again") {
		t.Errorf("by passkey, long ago: %v", err)
	}
	if err := a.SetPassword(t.Context(), here, ann, came(ByPasskey, time.Hour), "", goodPassword); !errors.As(err, &p) || p.Field != "password" {
		t.Errorf("a first password, long after: %v", err)
	}
	if err := a.SetPassword(t.Context(), here, ann, came(ByPasskey, 0), "", goodPassword); err != nil {
		t.Errorf("a first password: %v", err)
	}
}

func TestInvite(t *testing.T) {
	a, w, now := fixture(t)
	ann := first(t, a, w)
	var p Problem
	for _, email := range []string{"", "not an address", "ANN@example.org"} {
		if _, _, err := a.Invite(t.Context(), w, email, Viewer); !errors.As(err, &p) || p.Field != "email" {
			t.Errorf("%q: %v", email, err)
		}
	}
	if _, _, err := a.Invite(t.Context(), w, "bob@example.org", "owner"); !errors.As(err, &p) || p.Field != "role" {
		t.Errorf("as owner: %v", err)
	}
	secret, invited, err := a.Invite(t.Context(), w, "bob@example.org", Viewer)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := a.Accept(t.Context(), secret, Person{"Bob", "ann@example.org", goodPassword})
	if err != nil || bob.Email != invited.Email || bob.Role != Viewer {
		t.Fatalf("%+v, %v", bob, err)
	}
	if _, err := a.SetRole(t.Context(), w, ann.ID, Viewer); !errors.Is(err, store.ErrLastAdmin) {
		t.Errorf("the last admin: %v", err)
	}
	if _, err := a.Rename(t.Context(), bob, "Bob", "ann@example.org"); !errors.As(err, &p) || p.Field != "email" {
		t.Errorf("another's address: %v", err)
	}
	secret, _, err = a.Invite(t.Context(), w, "carl@example.org", Developer)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := a.Invitations(t.Context(), w); err != nil || len(list) != 1 || list[0].Email != "carl@example.org" {
		t.Errorf("%v, %v", list, err)
	}
	if err := a.Uninvite(t.Context(), w, func() string { l, _, _ := a.Link(t.Context(), secret); return l.ID }()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Accept(t.Context(), secret, Person{"Carl", "", goodPassword}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("taken back: %v", err)
	}
	*now = now.Add(-inviteWithin)
	if secret, _, err = a.Invite(t.Context(), w, "dora@example.org", Viewer); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Accept(t.Context(), secret, Person{"Dora", "", goodPassword}); !errors.Is(err, store.ErrExpired) {
		t.Errorf("after a week: %v", err)
	}
}

func TestRoles(t *testing.T) {
	for i, r := range Roles {
		for j, need := range Roles {
			if got := r.Covers(need); got != (i <= j) {
				t.Errorf("%s covers %s: %v", r, need, got)
			}
		}
	}
	if Role("").Covers("") || Role("root").Covers(Viewer) {
		t.Error("no role covers something")
	}
}

func TestPasskeyRefusals(t *testing.T) {
	a, w, _ := fixture(t)
	ann := first(t, a, w)
	const origin = "http://localhost:8080"
	var p Problem
	if _, err := a.SignInWithPasskey(t.Context(), origin, Answer{"guessed", []byte("{}")}); !errors.As(err, &p) {
		t.Errorf("no challenge: %v", err)
	}
	if _, err := a.AskPasskey(t.Context(), here, "https://192.0.2.7:8443"); !errors.As(err, &p) || p.Field != "passkey" {
		t.Errorf("a server without a name: %v", err)
	}
	c, err := a.AskPasskey(t.Context(), here, origin)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.AddPasskey(t.Context(), origin, ann, "x", Answer{c.ID, []byte("{}")}); !errors.As(err, &p) {
		t.Errorf("a challenge of another purpose: %v", err)
	}
	if c, err = a.AskPasskey(t.Context(), here, origin); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SignInWithPasskey(t.Context(), origin, Answer{c.ID, []byte("{}")}); !errors.Is(err, ErrWrong) {
		t.Errorf("an empty answer: %v", err)
	}
	if c, err = a.AskNewPasskey(t.Context(), origin, ann); err != nil {
		t.Fatal(err)
	}
	if err := a.AddPasskey(t.Context(), origin, ann, "x", Answer{c.ID, []byte(`{"id":"x"}`)}); !errors.As(err, &p) || p.Field != "passkey" {
		t.Errorf("a broken passkey: %v", err)
	}
}
