// Package static holds everything the browser loads: it embeds static/dist, which build.mjs makes, and serves it
// with the right types, encodings and cache times. A server built before build.mjs has run works, but for these
// files: they answer 404 and Built reports false.
package static

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed all:dist
var embedded embed.FS

// Asset is one built file, as the manifest names it.
type Asset struct {
	// Path is below /static/, without a leading slash.
	Path string `json:"path"`
	// Integrity is for the attribute of the same name (Subresource Integrity).
	Integrity string `json:"integrity"`
	// Size in bytes, uncompressed; Brotli is what goes over the wire.
	Size   int64 `json:"size"`
	Brotli int64 `json:"brotli"`
	// Imports are the paths of what a script imports at once, directly or not.
	Imports []string `json:"imports"`
	// Whole is Brotli of a script and of its imports.
	Whole int64 `json:"whole"`
}

// URL is where the server that mounts a Files at /static/ has it.
func (a Asset) URL() string { return "/static/" + a.Path }

// Files serves a tree of built files. The zero value serves nothing; Embedded is what the binary carries.
type Files struct {
	root     fs.FS
	manifest map[string]Asset
}

// Embedded returns the files built into this binary.
func Embedded() *Files {
	root, err := fs.Sub(embedded, "dist")
	if err != nil {
		panic(err) // the directive above names it
	}
	files, err := New(root)
	if err != nil {
		panic(fmt.Errorf("embedded manifest: %w", err)) // build.mjs wrote it
	}
	return files
}

// New serves the files of root. A root without manifest.json is an unbuilt one, and no error.
func New(root fs.FS) (*Files, error) {
	f := &Files{root: root}
	data, err := fs.ReadFile(root, "manifest.json")
	if err != nil {
		return f, nil
	}
	if err := json.Unmarshal(data, &f.manifest); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	return f, nil
}

// Built tells whether there is a build in it.
func (f *Files) Built() bool { return len(f.manifest) > 0 }

// Asset finds a file by its logical name: "app.js", "app.css", "amphi.js", "client.wasm", "icons/mic.svg".
func (f *Files) Asset(name string) (Asset, bool) {
	a, ok := f.manifest[name]
	return a, ok
}

// URL is the address of a logical name. Unbuilt, it is one that answers 404, so that a page still renders.
func (f *Files) URL(name string) string {
	if a, ok := f.manifest[name]; ok {
		return a.URL()
	}
	return "/static/" + name
}

// Docs is what the documentation shows of the SDK, in JSON; nil when unbuilt.
func (f *Files) Docs() []byte {
	if f.root == nil {
		return nil
	}
	data, err := fs.ReadFile(f.root, "docs.json")
	if err != nil {
		return nil // an unbuilt tree, and no error
	}
	return data
}

// types are set here and not asked of the system, whose table may call .js text/plain. Only these are served.
var types = map[string]string{
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".json":  "application/json",
	".wasm":  "application/wasm",
	".svg":   "image/svg+xml",
	".png":   "image/png",
	".jpg":   "image/jpeg",
	".webp":  "image/webp",
	".ico":   "image/x-icon",
	".woff2": "font/woff2",
	".mp3":   "audio/mpeg",
}

// hashed matches names that carry a hash of their content (build.mjs writes hexadecimal, esbuild base 32): what is
// under such a name never changes.
var hashed = regexp.MustCompile(`-([0-9a-f]{10}|[0-9A-Z]{8})\.[a-z0-9]+$`)

// ServeHTTP serves /static/<path> from the tree, and /sdk/<name> from its sdk directory, for pages of any origin.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case strings.HasPrefix(name, "static/"):
		name = strings.TrimPrefix(name, "static/")
	case strings.HasPrefix(name, "sdk/"):
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	contentType, ok := types[path.Ext(name)]
	if !ok || !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	if strings.HasPrefix(name, "sdk/") {
		// Modules, and what they fetch, need CORS when the page is of another origin.
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	file, encoding, size := f.open(name, r.Header.Get("Accept-Encoding"))
	if file == nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	header.Set("Content-Type", contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept-Encoding")
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
	if hashed.MatchString(name) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	seeker, ok := file.(interface {
		fs.File
		Seek(int64, int) (int64, error)
	})
	if !ok || encoding != "" {
		// A range of compressed bytes is of no use to a browser: whole files only.
		header.Set("Content-Length", strconv.FormatInt(size, 10))
		if r.Method == http.MethodGet {
			_, _ = io.Copy(w, file) // an error means that the client is gone
		}
		return
	}
	http.ServeContent(w, r, name, time.Time{}, seeker)
}

// open finds the smallest twin of name that the client takes.
func (f *Files) open(name, accept string) (file fs.File, encoding string, size int64) {
	if f.root == nil {
		return nil, "", 0
	}
	for _, twin := range []struct{ suffix, encoding string }{{".br", "br"}, {".gz", "gzip"}, {"", ""}} {
		if twin.encoding != "" && !accepts(accept, twin.encoding) {
			continue
		}
		file, err := f.root.Open(name + twin.suffix)
		if err != nil {
			continue
		}
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return file, twin.encoding, info.Size()
		}
		file.Close()
	}
	return nil, "", 0
}

// accepts reads Accept-Encoding (RFC 9110 §12.5.3): listed, and not with a weight of zero.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		weight, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !found {
			return true
		}
		q, err := strconv.ParseFloat(weight, 64)
		return err == nil && q > 0
	}
	return false
}
