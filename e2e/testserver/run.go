package testserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Run starts a server for one test. It must stop cleanly when the test ends.
func Run(t *testing.T, args ...string) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	// not the test's context, which ends before the server can be asked what went wrong
	server, err := Start(context.Background(), Config{DataDir: t.TempDir(), Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { End(t, server) })
	return server
}

// End stops a server at the end of a test, and says what was wrong with it.
func End(t *testing.T, server *Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Errorf("stop the server: %v", err)
	}
	if strings.Contains(server.Log(), "DATA RACE") || strings.Contains(server.Log(), "panic") {
		t.Error("the server's log tells of a panic or a race")
	}
	if t.Failed() {
		Keep(t, "server.log", []byte(server.Log()))
	}
}

// Page is one of a browser.
type Page interface {
	Screenshot() ([]byte, error)
	Console() string
	Close()
}

// KeepPage closes a page at the end of the test, and keeps its end state, by name, if that has failed.
func KeepPage(t *testing.T, name string, page Page) {
	t.Cleanup(func() {
		if t.Failed() {
			if png, err := page.Screenshot(); err == nil {
				Keep(t, name+".png", png)
			}
			Keep(t, name+".log", []byte(page.Console()))
		}
		page.Close()
	})
}

// Keep writes something to look at after a failure into e2e/failures, and says where.
func Keep(t *testing.T, name string, data []byte) {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Log(err)
		return
	}
	path := filepath.Join("e2e", "failures", strings.ReplaceAll(t.Name(), "/", "-"), name)
	if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
		t.Log(err)
		return
	}
	if err := os.WriteFile(filepath.Join(root, path), data, 0o644); err != nil {
		t.Log(err)
		return
	}
	t.Logf("kept %s", path)
}
