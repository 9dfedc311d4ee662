package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"amphi/server/auth"
	"amphi/server/store"
)

// TestBackupAndRestore takes the keys from one data directory to another.
func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	env, elsewhere := []string{"AMPHI_DATA=data"}, []string{"AMPHI_DATA=elsewhere/data"}
	_, keys, _ := amphi(t, env, "keys")

	// As beside a server: somebody has the database open.
	running, err := store.Open(t.Context(), filepath.Join("data", "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	seeded, err := running.Seed(t.Context(), auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.SaveRoom(t.Context(), seeded.Workspace.ID, "late", func(*store.Room) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := amphi(t, env, "backup", "b.db"); code != exitOK || !strings.Contains(out, "b.db has everything") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	if code, out, errs := amphi(t, elsewhere, "restore", "b.db", "--log-level", "warn"); code != exitOK || !strings.Contains(out, "amphi.db is what it was") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	if _, restored, errs := amphi(t, elsewhere, "keys"); restored != keys {
		t.Errorf("%q, want %q; %s", restored, keys, errs)
	}
	if code, _, errs := amphi(t, elsewhere, "token", "auth", "--room", "late", "--role", "broadcaster"); code != exitOK {
		t.Errorf("the room is lost: %s", errs)
	}

	for _, tc := range []struct {
		env  []string
		args []string
		code int
		want string
	}{
		{env, []string{"backup", "b.db"}, exitFailed, "a backup overwrites nothing"},
		{elsewhere, []string{"restore", "b.db"}, exitFailed, "move its database away"},
		{env, []string{"backup"}, exitUsage, "FILE comes first"},
		{env, []string{"backup", "--data", "x"}, exitUsage, "FILE comes first"},
		{[]string{"AMPHI_DATA=none"}, []string{"backup", "c.db"}, exitFailed, "no such file"},
		{[]string{"AMPHI_DATA=new"}, []string{"restore", "none.db"}, exitFailed, "no such file"},
		{env, []string{"backup", "c.db", "--db", "postgres://a:secret@b/c"}, exitFailed, "pg_dump"},
		{env, []string{"restore", "c.db", "--db", "postgres://a:secret@b/c"}, exitFailed, "pg_restore"},
	} {
		code, out, errs := amphi(t, tc.env, tc.args...)
		if code != tc.code || !strings.Contains(errs, tc.want) || out != "" || strings.Contains(errs, "secret") {
			t.Errorf("%v: %d %q %q", tc.args, code, out, errs)
		}
	}
	for _, left := range []string{"c.db", "none", filepath.Join("new", "amphi.db")} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("a mistake left %s", left)
		}
	}
	if code, out, _ := amphi(t, env, "backup", "--help"); code != exitOK || !strings.Contains(out, "Usage: amphi backup") {
		t.Errorf("%d %s", code, out)
	}
}
