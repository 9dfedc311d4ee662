package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"amphi/server/storage"
	"amphi/server/store"
)

// defaultURLs is how long the addresses in webhooks are good, if nobody says: so long the API's are too.
const defaultURLs = 3 * 24 * time.Hour

// roomPause is between attempts to make a file on a disk that was full.
const roomPause = 30 * time.Second

// product is a file to be made of a reel.
type product struct {
	asset store.Asset
	key   string
	make  func(target string) error
}

// products are all files that a reel's spec asks for. Names are those of the API's documentation.
func (r *reel) products() (all []product) {
	s := r.spec
	seconds := int(r.duration().Round(time.Second) / time.Second)
	add := func(kind store.AssetType, key string, metadata map[string]any, make func(string) error) {
		all = append(all, product{key: key, make: make, asset: store.Asset{RoomID: s.Room, SessionID: s.Session, JobID: s.ID,
			Type: kind, Duration: seconds, Metadata: metadata}})
	}
	if s.VOD {
		width, height := r.size(0)
		add(store.AssetVOD, path.Join(s.folder(), "vod", s.name()+".zip"),
			map[string]any{"num_layers": strconv.Itoa(len(s.Layers)), "max_width": width, "max_height": height}, r.writeVOD)
	}
	if !s.Files {
		return all
	}
	for layer := range s.Layers {
		width, height := r.size(layer)
		metadata := map[string]any{"resolution": map[string]any{"width": width, "height": height}}
		key, kind := path.Join(s.folder(), s.name()), ".mp4"
		if s.Job == "" {
			key = path.Join(s.folder(), "file-recording", fmt.Sprintf("%s-%d", s.name(), layer))
			metadata["layer"] = strconv.Itoa(layer)
		}
		if s.AudioOnly {
			kind, metadata = ".m4a", map[string]any{}
		}
		add(store.AssetComposite, key+kind, metadata, func(target string) error { return r.writeMP4(layer, target) })
	}
	return all
}

// size is that of a layer's first pictures.
func (r *reel) size(layer int) (width, height int) {
	in, err := parseInit(r.inits[0][layer])
	if err != nil {
		return 0, 0
	}
	return in.width, in.height
}

// produce makes and stores the files. What cannot be made is a failed asset that says why. The error is that ctx ended.
func (m *Manager) produce(ctx context.Context, r *reel, log *slog.Logger) (store.Recorded, error) {
	result := store.Recorded{Job: r.spec.Job}
	if r.ending != nil {
		result.Failure = r.ending.Failure
	}
	if len(r.segments) == 0 { // there is nothing to make them of
		return result, nil
	}
	to, prefix := m.place(ctx, r.spec, log)
	stills := m.makeStills(ctx, r, log)
	if len(stills) > 0 && stills[0].poster {
		r.poster = stills[0].file
	}
	for i, p := range append(r.products(), m.chat(ctx, r, log)...) {
		p.key = path.Join(prefix, p.key)
		file, err := m.deliverFile(ctx, p, to, filepath.Join(r.dir, "out-"+strconv.Itoa(i)+filepath.Ext(p.key)), r.spec, log)
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		if err != nil {
			result.Failure = err.Error()
		}
		result.Files = append(result.Files, file)
	}
	if len(result.Files) > 0 {
		m.storeStills(ctx, r, stills, to, prefix, &result, log)
	}
	return result, ctx.Err()
}

// place is where the files of a recording belong, and what their keys begin with.
func (m *Manager) place(ctx context.Context, s Spec, log *slog.Logger) (to storage.Place, prefix string) {
	to, prefix = m.cfg.Storage.Default(), s.Customer
	if m.cfg.Place == nil {
		return to, prefix
	}
	place, err := m.cfg.Place(ctx, s.Customer, s.Room)
	switch {
	case err != nil:
		log.Error("recording stays on this server: its storage cannot be used", "err", err)
		to = m.cfg.Storage.Local
	case place != nil:
		to = place
		if b, ok := place.(*storage.Bucket); ok && b.Prefixed() { // that is in place of the customer's id
			prefix = ""
		}
	}
	return to, prefix
}

// deliverFile makes a file and stores it, as soon as the disk has room for it. With an error the asset has failed.
func (m *Manager) deliverFile(ctx context.Context, p product, to storage.Place, file string, s Spec, log *slog.Logger) (store.RecordedFile, error) {
	began := time.Now()
	path, size, err := m.store(ctx, p, to, file)
	for end := began.Add(m.cfg.WaitForRoom); errors.Is(err, errDiskFull) && time.Now().Before(end) && ctx.Err() == nil; {
		log.Error("file of a recording waits until there is room on the disk", "key", p.key)
		select {
		case <-time.After(min(roomPause, m.cfg.WaitForRoom)):
		case <-ctx.Done():
		}
		path, size, err = m.store(ctx, p, to, file)
	}
	made := store.RecordedFile{Asset: p.asset}
	made.Status, made.Path, made.Size = store.AssetCompleted, path, size
	if err == nil {
		made.URL, err = m.cfg.Storage.URL(ctx, path, urlsFor(s), to)
	}
	if err != nil {
		log.Error("file of a recording could not be made", "key", p.key, "err", err)
		made.Status, made.Path, made.Size = store.AssetFailed, "", 0
		made.Metadata["error"] = err.Error()
		return made, err
	}
	log.Info("file of a recording is there", "path", path, "bytes", size, "took", time.Since(began).Round(time.Millisecond))
	return made, nil
}

func urlsFor(s Spec) time.Duration {
	if s.URLsFor > 0 {
		return s.URLsFor
	}
	return defaultURLs
}

// store makes a file and puts it to its place.
func (m *Manager) store(ctx context.Context, p product, to storage.Place, file string) (path string, size int64, err error) {
	defer os.Remove(file)
	m.making.Lock()
	err = p.make(file)
	m.making.Unlock()
	if err != nil {
		return "", 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", 0, fmt.Errorf("recording: %w", err)
	}
	path, err = m.cfg.Storage.Put(ctx, to, p.key, file)
	return path, info.Size(), diskError(err)
}
