//go:build !js

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnderNode builds the client and runs testdata/smoke.mjs on it.
func TestUnderNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	if testing.Short() {
		t.Skip("builds for another platform, left out by -short")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	wasm := filepath.Join(t.TempDir(), "client.wasm")
	// The flags of static/build.mjs: then the packages are compiled already.
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-gcflags", "all=-l", "-gcflags", "runtime=",
		"-gcflags", "internal/runtime/maps=", "-o", wasm, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	loader := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js")
	if out, err := exec.Command("node", filepath.Join("testdata", "smoke.mjs"), loader, wasm).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
