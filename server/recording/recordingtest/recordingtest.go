// Package recordingtest takes the files of recordings as those who get them do: over the web, and unpacked on a
// server of files.
package recordingtest

import (
	"archive/zip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// Fetch gets a file from an address, and returns its name on this machine.
func Fetch(t testing.TB, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := io.Copy(f, res.Body); err != nil || n != res.ContentLength || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %d bytes, %v", url, res.StatusCode, n, err)
	}
	return f.Name()
}

// Unzip unpacks a VOD and serves it, on an origin of its own, as any server of files would for players anywhere. The
// address is that of its first playlist.
func Unzip(t testing.TB, name string) (url string) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(dir))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return web.URL + "/master.m3u8"
}
