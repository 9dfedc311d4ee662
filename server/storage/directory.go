package storage

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Prefix is where the addresses of a [Directory]'s files begin.
const Prefix = "/assets/"

// Directory keeps files on the server's disk, and serves them.
//
// An address is /assets/{expires}-{signature}/{key}: the time in Unix seconds until which it is good, and an
// HMAC-SHA256 over that and the key. Who has the address has the file, as with a bucket.
type Directory struct {
	dir    string
	base   string // scheme and host
	secret []byte
	root   *os.Root
}

// OpenDirectory makes the directory if it is missing. Addresses begin with base, a scheme and a host, and are signed
// with the secret: those of a server before this one are good if it has the same.
func OpenDirectory(dir, base string, secret []byte) (*Directory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return &Directory{dir: dir, base: base, secret: secret, root: root}, nil
}

// Close ends serving.
func (d *Directory) Close() error { return d.root.Close() }

// Path implements Place.
func (d *Directory) Path(key string) string { return "local://assets/" + key }

// Put implements Place. Within a file system nothing is copied: both names are of one file.
func (d *Directory) Put(_ context.Context, key, source string) error {
	if !filepath.IsLocal(key) {
		return fmt.Errorf("storage: key %q", key)
	}
	target := filepath.Join(d.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	half := target + ".part"
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storage: %w", err)
	}
	err := os.Link(source, half)
	if err != nil { // another file system, or one without links
		err = copyFile(half, source)
	}
	if err == nil {
		err = os.Rename(half, target)
	}
	if err != nil {
		_ = os.Remove(half)
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

func copyFile(target, source string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// URL implements Place.
func (d *Directory) URL(_ context.Context, key string, lifetime time.Duration) (string, error) {
	expires := time.Now().Add(lifetime).Unix()
	u := url.URL{Path: fmt.Sprintf("%s%d-%s/%s", Prefix, expires, d.sign(expires, key), key)}
	return d.base + u.EscapedPath(), nil
}

// Has says whether this directory has the file of that path.
func (d *Directory) Has(name string) bool {
	key, ok := strings.CutPrefix(name, d.Path(""))
	if !ok {
		return false
	}
	info, err := d.root.Stat(key)
	return err == nil && info.Mode().IsRegular()
}

func (d *Directory) sign(expires int64, key string) string {
	h := hmac.New(sha256.New, d.secret)
	fmt.Fprintf(h, "%d\n%s", expires, key)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// contentTypes of the files that there are; not those of the machine, which differ.
var contentTypes = map[string]string{
	".zip": "application/zip", ".mp4": "video/mp4", ".m4a": "audio/mp4", ".png": "image/png", ".jpg": "image/jpeg", ".webm": "video/webm", ".mkv": "video/x-matroska",
	".csv": "text/csv; charset=utf-8", ".json": "application/json",
}

func contentType(key string) string {
	return cmp.Or(contentTypes[path.Ext(key)], "application/octet-stream")
}

// ServeHTTP serves files to those who have a signed address.
func (d *Directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*") // the signature is what lets in, and players run in pages from anywhere
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range")
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Headers", "Range")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	key, ok := d.admit(r.URL.Path)
	if !ok {
		http.Error(w, "the address is not signed by this server, or has expired", http.StatusForbidden)
		return
	}
	f, err := d.root.Open(filepath.FromSlash(key))
	if err != nil {
		http.Error(w, "the file is not kept any more", http.StatusNotFound)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h.Set("Content-Type", contentType(key))
	h.Set("Cache-Control", "private, max-age=3600, immutable")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// admit checks an address and returns the key in it.
func (d *Directory) admit(address string) (key string, ok bool) {
	rest, _ := strings.CutPrefix(address, Prefix)
	grant, key, _ := strings.Cut(rest, "/")
	text, signature, _ := strings.Cut(grant, "-")
	expires, err := strconv.ParseInt(text, 10, 64)
	if err != nil || key == "" || !filepath.IsLocal(key) {
		return "", false
	}
	return key, hmac.Equal([]byte(signature), []byte(d.sign(expires, key))) && time.Now().Unix() < expires
}

// Sweep removes files that are older than keep, and the directories that this leaves empty. It returns how many files.
func (d *Directory) Sweep(keep time.Duration) (removed int, err error) {
	before := time.Now().Add(-keep)
	var dirs []string
	err = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != d.dir {
				dirs = append(dirs, path)
			}
			return nil
		}
		info, err := e.Info()
		if err != nil || !info.ModTime().Before(before) {
			return err
		}
		removed++
		return os.Remove(path)
	})
	for i := len(dirs) - 1; i >= 0; i-- { // the inner ones come after
		if info, err := os.Stat(dirs[i]); err == nil && info.ModTime().Before(before) {
			_ = os.Remove(dirs[i]) // fails if there is something in it
		}
	}
	return removed, err
}
