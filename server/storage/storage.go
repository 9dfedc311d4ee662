// Package storage keeps the files that recordings leave, where they can be fetched by whoever is given an address: in a
// directory of the server, which it serves itself, or in a bucket that speaks the API of S3.
//
// Records name a file by its path, <type>://<location>/<key>. A path says where its file is also after the settings
// have changed: what went to the directory is served from there, whatever bucket is set up later.
package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Place is where files are kept, by their keys: names with slashes. A key that is used again replaces the file.
type Place interface {
	// Put copies the file source to the place, all or nothing.
	Put(ctx context.Context, key, source string) error
	// URL is where whoever has it can fetch the file, for that long. It does not ask whether the file is there.
	URL(ctx context.Context, key string, lifetime time.Duration) (string, error)
	// Path names a key in records.
	Path(key string) string
}

// ErrUnknown says that no place is known that a path could be in.
var ErrUnknown = errors.New("storage: no such place")

// Storage puts files into the place that is meant for them.
type Storage struct {
	Local  *Directory
	Bucket *Bucket // where the server's recordings go; nil: to Local

	FirstPause time.Duration // after the first failure of a place; it doubles each time
	MaxPause   time.Duration
	RetryFor   time.Duration // a place that fails for so long does without the file, which stays in Local
	Log        *slog.Logger
}

// Default is the place of files for which nobody has set up another.
func (s *Storage) Default() Place {
	if s.Bucket != nil {
		return s.Bucket
	}
	return s.Local
}

// Put copies a file to a place and returns its path. A place that fails is tried again, and at the last the file stays
// in the directory: nothing is lost because a bucket cannot be reached, or takes nothing.
func (s *Storage) Put(ctx context.Context, to Place, key, source string) (string, error) {
	if to == Place(s.Local) {
		return s.Local.Path(key), s.Local.Put(ctx, key, source)
	}
	end, pause := time.Now().Add(s.RetryFor), s.FirstPause
	for {
		err := to.Put(ctx, key, source)
		if err == nil {
			return to.Path(key), nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if time.Now().Add(pause).After(end) {
			s.Log.Error("file stays on this server: it cannot be stored where it belongs", "path", to.Path(key), "err", err)
			return s.Local.Path(key), s.Local.Put(ctx, key, source)
		}
		s.Log.Warn("file cannot be stored", "path", to.Path(key), "again_in", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return "", ctx.Err()
		}
		pause = min(2*pause, s.MaxPause)
	}
}

// IsLocal says whether a path is in the directory.
func (s *Storage) IsLocal(path string) bool { return strings.HasPrefix(path, s.Local.Path("")) }

// URL is where the file of a path can be fetched. Besides the server's own places it may be in one of others.
func (s *Storage) URL(ctx context.Context, path string, lifetime time.Duration, others ...Place) (string, error) {
	places := append(others, s.Local)
	if s.Bucket != nil {
		places = append(places, s.Bucket)
	}
	for _, p := range places {
		if key, ok := strings.CutPrefix(path, p.Path("")); ok && key != "" {
			return p.URL(ctx, key, lifetime)
		}
	}
	return "", fmt.Errorf("%w: %s", ErrUnknown, path)
}
