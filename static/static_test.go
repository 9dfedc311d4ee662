package static

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func testFiles(t *testing.T) *Files {
	t.Helper()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	files, err := New(fstest.MapFS{
		"manifest.json":                 file(`{"app.js":{"path":"app-0123456789.js","integrity":"sha384-x","size":5}}`),
		"app-0123456789.js":             file("plain"),
		"app-0123456789.js.br":          file("br"),
		"app-0123456789.js.gz":          file("gz!"),
		"sdk/client-0123456789.wasm":    file("\x00asm"),
		"sdk/client-0123456789.wasm.br": file("wasm br"),
		"sdk/amphi.js":                  file("export"),
		"secret.txt":                    file("no"),
		".gitkeep":                      file(""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestServe(t *testing.T) {
	files := testFiles(t)
	const forever = "public, max-age=31536000, immutable"
	for _, tc := range []struct {
		name, method, target, accept string
		status                       int
		body, encoding, kind, cache  string
		cors                         string
	}{
		{name: "brotli first", target: "/static/app-0123456789.js", accept: "gzip, deflate, br", status: 200, body: "br", encoding: "br", kind: "text/javascript; charset=utf-8", cache: forever},
		{name: "gzip when brotli is refused", target: "/static/app-0123456789.js", accept: "br;q=0, gzip;q=0.5", status: 200, body: "gz!", encoding: "gzip", kind: "text/javascript; charset=utf-8", cache: forever},
		{name: "plain", target: "/static/app-0123456789.js", status: 200, body: "plain", kind: "text/javascript; charset=utf-8", cache: forever},
		{name: "no twin", target: "/sdk/amphi.js", accept: "br", status: 200, body: "export", kind: "text/javascript; charset=utf-8", cache: "no-cache", cors: "*"},
		{name: "wasm", target: "/sdk/client-0123456789.wasm", accept: "br", status: 200, body: "wasm br", encoding: "br", kind: "application/wasm", cache: forever, cors: "*"},
		{name: "wasm below static", target: "/static/sdk/client-0123456789.wasm", status: 200, body: "\x00asm", kind: "application/wasm", cache: forever, cors: "*"},
		{name: "head", method: "HEAD", target: "/static/app-0123456789.js", accept: "br", status: 200, encoding: "br", kind: "text/javascript; charset=utf-8", cache: forever},
		{name: "post", method: "POST", target: "/static/app-0123456789.js", status: 405},
		{name: "unknown", target: "/static/nothing.js", status: 404},
		{name: "directory", target: "/static/sdk", status: 404},
		{name: "type not served", target: "/static/secret.txt", status: 404},
		{name: "compressed twin by name", target: "/static/app-0123456789.js.br", status: 404},
		{name: "outside", target: "/static/../static.go", status: 404},
		{name: "other prefix", target: "/app-0123456789.js", status: 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			r := httptest.NewRequest(tc.method, "/", nil)
			r.URL.Path = tc.target
			r.Header.Set("Accept-Encoding", tc.accept)
			w := httptest.NewRecorder()
			files.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Fatalf("status %d, want %d", w.Code, tc.status)
			}
			if tc.status != 200 {
				return
			}
			if got := w.Body.String(); got != tc.body {
				t.Errorf("body %q, want %q", got, tc.body)
			}
			for header, want := range map[string]string{
				"Content-Encoding": tc.encoding, "Content-Type": tc.kind, "Cache-Control": tc.cache,
				"Access-Control-Allow-Origin": tc.cors, "Vary": "Accept-Encoding",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestManifest(t *testing.T) {
	files := testFiles(t)
	if got := files.URL("app.js"); got != "/static/app-0123456789.js" {
		t.Errorf("URL: %q", got)
	}
	if got := files.URL("other.js"); got != "/static/other.js" {
		t.Errorf("URL of an unknown name: %q", got)
	}
	if a, ok := files.Asset("app.js"); !ok || a.Integrity != "sha384-x" || a.Size != 5 {
		t.Errorf("asset: %+v %v", a, ok)
	}
	if _, err := New(fstest.MapFS{"manifest.json": {Data: []byte("{")}}); err == nil {
		t.Error("a broken manifest is not an error")
	}
	unbuilt, err := New(fstest.MapFS{})
	if err != nil || unbuilt.Built() {
		t.Errorf("unbuilt: %v %v", unbuilt.Built(), err)
	}
}

// maxFacadeBytes is how large the SDK's JavaScript may be on the wire.
const maxFacadeBytes = 15_000

func TestFacadeSize(t *testing.T) {
	facade, built := Embedded().Asset("amphi.js")
	if !built {
		t.Skip("not built: go tool task web")
	}
	if facade.Whole < facade.Brotli || facade.Whole > maxFacadeBytes {
		t.Errorf("the facade has %d bytes on the wire, more than %d", facade.Whole, maxFacadeBytes)
	}
}

// The embedded tree, whether built or not, answers without panic; built, each file of its manifest is there.
func TestEmbedded(t *testing.T) {
	files := Embedded()
	server := httptest.NewServer(files)
	defer server.Close()
	for name, asset := range files.manifest {
		response, err := server.Client().Get(server.URL + asset.URL())
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != 200 || n != asset.Size {
			t.Errorf("%s: status %d, %d bytes, manifest says %d", name, response.StatusCode, n, asset.Size)
		}
		if !strings.Contains(asset.Path, "-") {
			t.Errorf("%s is not hashed: %s", name, asset.Path)
		}
	}
}
