package recordingtest

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"
)

// What is packed is served, and fetched as it was.
func TestUnzip(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "vod.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("master.m3u8")
	if err == nil {
		_, err = w.Write([]byte("#EXTM3U\n"))
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(Fetch(t, Unzip(t, f.Name()))); err != nil || string(text) != "#EXTM3U\n" {
		t.Errorf("%q %v", text, err)
	}
}
