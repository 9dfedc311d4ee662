package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"amphi/server/account"
	"amphi/server/auth"
	"amphi/server/store"
)

var linkPattern = regexp.MustCompile(`^http://localhost:8080/dashboard/link/([a-z0-9]{26})\n$`)

func TestSignInCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	secret := func(args ...string) string {
		code, out, errs := amphi(t, nil, append([]string{"signin"}, args...)...)
		found := linkPattern.FindStringSubmatch(out)
		if code != exitOK || found == nil {
			t.Fatalf("%d %q %q", code, out, errs)
		}
		return found[1]
	}
	first := secret()
	db, err := store.Open(t.Context(), filepath.Join("data", "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	accounts := &account.Accounts{Store: db}
	ann, err := accounts.Accept(t.Context(), first, account.Person{Name: "Ann", Email: "ann@example.org", Password: "a few words to remember"})
	if err != nil || ann.Role != account.Admin {
		t.Fatal(ann, err)
	}
	// Beside a server that has the database open, too.
	for _, args := range [][]string{nil, {"--member", "Ann@example.org"}} {
		if m, err := accounts.Use(t.Context(), secret(args...)); err != nil || m.ID != ann.ID {
			t.Errorf("%v: %v, %v", args, m, err)
		}
	}
	if code, _, errs := amphi(t, nil, "signin", "--member", "bob@example.org"); code != exitFailed || !strings.Contains(errs, `"bob@example.org" is a member`) {
		t.Errorf("%d %s", code, errs)
	}
}

// The console's link is printed until somebody has used one.
func TestConsoleLink(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seeded, err := db.Seed(t.Context(), auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	accounts := &account.Accounts{Store: db}
	console := func() string {
		var out strings.Builder
		if err := inviteFirst(t.Context(), accounts, seeded.Workspace.ID, &out, "https://live.example.org/"); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	shown := console()
	_, secret, ok := strings.Cut(shown, "https://live.example.org/dashboard/link/")
	if !ok {
		t.Fatalf("no link in %q", shown)
	}
	if _, err := accounts.Accept(t.Context(), strings.TrimSpace(secret), account.Person{Name: "Ann", Email: "ann@example.org", Password: "a few words to remember"}); err != nil {
		t.Fatal(err)
	}
	if again := console(); again != "" {
		t.Errorf("somebody is there, and the console says %q", again)
	}
}
