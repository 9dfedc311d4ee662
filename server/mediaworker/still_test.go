package mediaworker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A still is what the program says, if it ends well and says no more than a picture can have.
func TestStills(t *testing.T) {
	dir := t.TempDir()
	program := func(script string) string {
		name := filepath.Join(dir, Name)
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		return name
	}
	still := func(script string) (string, error) {
		picture, err := Stills(program(script))(t.Context(), []byte("picture"), "png", 320, 180)
		return string(picture), err
	}
	if got, err := still(`echo "$@"; cat; env >&2`); err != nil || got != "--still png --size 320x180\npicture" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := still("echo no such picture >&2; exit 1"); err == nil || !strings.Contains(err.Error(), "no such picture") || got != "" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := still("head -c 17000000 /dev/zero"); err == nil || got != "" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := Stills(filepath.Join(dir, "nowhere"))(t.Context(), nil, "png", 2, 2); err == nil || got != nil {
		t.Errorf("%q %v", got, err)
	}
	t.Setenv("SECRET", "1")
	if got, err := still(`test -z "$SECRET" && echo clean`); err != nil || got != "clean\n" {
		t.Errorf("%q %v", got, err)
	}
}
