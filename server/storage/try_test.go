package storage

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// What can be written to, read and deleted from is tried well, and nothing is left of it; what cannot says why.
func TestTry(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDirectory(dir, "http://localhost", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := Try(t.Context(), d); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}

	backend := s3mem.New()
	if err := backend.CreateBucket("talks"); err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(gofakes3.New(backend).Server())
	defer service.Close()
	bucket := func(name string) *Bucket {
		b, err := NewBucket(BucketConfig{Endpoint: service.URL, Name: name, Prefix: "live", Key: "key", Secret: "secret", Client: service.Client()})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := Try(t.Context(), bucket("talks")); err != nil {
		t.Error(err)
	}
	if left, err := backend.ListBucket("talks", nil, gofakes3.ListBucketPage{}); err != nil || len(left.Contents) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	if err := Try(t.Context(), bucket("nowhere")); err == nil || !strings.Contains(err.Error(), "writing") {
		t.Errorf("a bucket that is not there: %v", err)
	}
	if err := Try(t.Context(), nil); err == nil {
		t.Error("no place was tried well")
	}
}
