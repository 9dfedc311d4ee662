package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"amphi/server/api"
	"amphi/server/config"
	"amphi/server/live"
	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/room"
	"amphi/server/storage"
	"amphi/server/store"
)

// recordings lets the API reach what is recorded.
type recordings struct {
	db    *store.Store
	rooms *room.Registry
	live  *live.Manager
	files *storage.Storage
}

var _ api.Recorder = recordings{}

// openStorage opens the places of files. Their addresses outlive the server, as the secret that signs them does.
func openStorage(cfg config.Config, publicURL, workspaceSecret string, log *slog.Logger) (*storage.Storage, error) {
	h := hmac.New(sha256.New, []byte(workspaceSecret))
	h.Write([]byte("assets"))
	local, err := storage.OpenDirectory(filepath.Join(cfg.Data, "assets"), publicURL, h.Sum(nil))
	if err != nil {
		return nil, err
	}
	s := &storage.Storage{Local: local, FirstPause: time.Second, MaxPause: time.Minute, RetryFor: time.Hour, Log: log}
	switch b := cfg.Storage; {
	case b.Bucket == "":
	case b.Key == "" || b.Secret == "":
		return nil, errors.Join(errors.New("storage.bucket needs storage.key and storage.secret"), local.Close())
	default:
		s.Bucket, err = storage.NewBucket(storage.BucketConfig{Endpoint: b.Endpoint, Region: b.Region, Name: b.Bucket, Prefix: b.Prefix, Key: b.Key, Secret: b.Secret})
	}
	return s, err
}

// openRecordings finds the recordings that the server before left.
func openRecordings(cfg config.Config, db *store.Store, files *storage.Storage, log *slog.Logger) (*recording.Manager, error) {
	return recording.New(recording.Config{
		Dir: filepath.Join(cfg.Data, "recording"), Storage: files, Store: db,
		Place: func(ctx context.Context, customerID, roomID string) (storage.Place, error) {
			return placeOf(ctx, db, customerID, roomID)
		},
		Still:   mediaworker.Stills(cfg.Compositor.Path),
		Reserve: int64(cfg.Storage.ReserveMB) << 20, WaitForRoom: time.Hour, Keep: cfg.Storage.Keep, Log: log,
	})
}

// placeOf is where the recordings of a room belong: what the room says counts before what its template says. Nil: where
// the server's do.
func placeOf(ctx context.Context, db *store.Store, customerID, roomID string) (storage.Place, error) {
	r, err := db.Room(ctx, customerID, roomID)
	if err != nil {
		return nil, fmt.Errorf("storage of a recording: %w", err)
	}
	var upload *policy.Upload
	if r.Recording != nil {
		var own struct {
			Upload *policy.Upload `json:"upload_info"`
		}
		if err := json.Unmarshal(r.Recording, &own); err != nil {
			return nil, fmt.Errorf("storage of a recording: %w", err)
		}
		upload = own.Upload
	}
	if upload == nil {
		t, err := db.Template(ctx, customerID, r.TemplateID)
		if err != nil {
			return nil, fmt.Errorf("storage of a recording: %w", err)
		}
		if s := t.Policy.Settings.Recording; s != nil {
			upload = s.Upload
		}
	}
	if upload == nil {
		return nil, nil
	}
	b, err := bucketOf(upload)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// bucketOf is a bucket of a template's or a room's own.
func bucketOf(u *policy.Upload) (*storage.Bucket, error) {
	return storage.NewBucket(storage.BucketConfig{Type: u.Type, Region: u.Options.Region, Name: u.Location, Prefix: u.Prefix,
		Key: u.Credentials.Key, Secret: u.Credentials.SecretKey})
}

// StartRecording implements api.Recorder.
func (c recordings) StartRecording(ctx context.Context, roomID string, setup store.JobSetup) (store.Job, error) {
	r, err := c.rooms.Open(ctx, roomID)
	if err != nil {
		return store.Job{}, room.AsProtocol(err)
	}
	defer r.Release() // the stream holds a reference of its own
	return c.live.StartRecording(ctx, r, setup, "")
}

// StopRecording implements api.Recorder.
func (c recordings) StopRecording(roomID string) error { return c.live.StopRecording(roomID) }

// PauseRecording implements api.Recorder.
func (c recordings) PauseRecording(roomID string, paused bool) error {
	return c.live.PauseRecording(roomID, paused)
}

// PauseHLSRecording implements api.Recorder.
func (c recordings) PauseHLSRecording(roomID string, paused bool) error {
	return c.live.PauseHLSRecording(roomID, paused)
}

// AssetURL implements api.Recorder.
func (c recordings) AssetURL(ctx context.Context, a store.Asset, lifetime time.Duration) (string, error) {
	if local := c.files.Local; c.files.IsLocal(a.Path) && !local.Has(a.Path) {
		return "", protocol.Errorf(protocol.CodeNotFound, "the file of the recording asset is not kept any more")
	}
	var others []storage.Place
	place, err := placeOf(ctx, c.db, a.WorkspaceID, a.RoomID)
	if err != nil {
		return "", err
	}
	if place != nil {
		others = append(others, place)
	}
	url, err := c.files.URL(ctx, a.Path, lifetime, others...)
	if errors.Is(err, storage.ErrUnknown) {
		return "", protocol.Errorf(protocol.CodeNotFound, "the storage of the recording asset is not set up any more")
	}
	return url, err
}
