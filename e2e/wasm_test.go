package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"amphi/e2e/testserver"
)

// maxClientBytes is how large the WASM client may be on the wire.
const maxClientBytes = 1_500_000

// TestClientSize downloads the client as browsers do.
func TestClientSize(t *testing.T) {
	server := testserver.Run(t)
	data, err := os.ReadFile(filepath.Join("..", "static", "dist", "manifest.json"))
	if err != nil {
		t.Fatalf("the pages are not built (go tool task web): %v", err)
	}
	var manifest map[string]struct{ Path string }
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/static/"+manifest["client.wasm"].Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	size, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("client.wasm: %d bytes on the wire", size)
	if size > maxClientBytes {
		t.Errorf("client.wasm has %d bytes on the wire, more than %d", size, maxClientBytes)
	}
	for header, want := range map[string]string{
		"Content-Encoding": "br", "Content-Type": "application/wasm", "Cache-Control": "public, max-age=31536000, immutable",
	} {
		if got := resp.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}
