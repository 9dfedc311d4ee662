package store

import (
	"context"
	"time"
)

// AssetType says what is in a file.
type AssetType string

// The types of assets.
const (
	AssetComposite    AssetType = "room-composite"        // one video of a composed room
	AssetCompositeSFU AssetType = "room-composite-legacy" // the same, composed after the session
	AssetVOD          AssetType = "room-vod"              // a live stream to be watched later
	AssetChat         AssetType = "chat"
	AssetTranscript   AssetType = "transcript"
	AssetSummary      AssetType = "summary"
	AssetTrack        AssetType = "track"
	AssetStream       AssetType = "stream" // the tracks of a peer that belong together
)

// AssetTypes are all of them.
var AssetTypes = []AssetType{AssetComposite, AssetCompositeSFU, AssetVOD, AssetChat, AssetTranscript, AssetSummary, AssetTrack, AssetStream}

// AssetStatus says whether a file is there.
type AssetStatus string

// The states of an asset.
const (
	AssetProcessing AssetStatus = "processing"
	AssetCompleted  AssetStatus = "completed"
	AssetFailed     AssetStatus = "failed"
)

// Asset is a file, or a set of them, that a live stream or a job left.
type Asset struct {
	ID          string
	WorkspaceID string
	RoomID      string
	SessionID   string
	JobID       string // of the live stream or the job
	Type        AssetType
	Status      AssetStatus
	Path        string
	Size        int64          // bytes
	Duration    int            // seconds
	Metadata    map[string]any // by type, see the API's documentation
	Thumbnails  []string       // paths; nil for all but AssetVOD
	CreatedAt   time.Time
}

const assetColumns = `id, workspace_id, room_id, session_id, job_id, type, status, path, size, duration, metadata_json, thumbnails_json, created_at`

func scanAsset(row scanner) (a Asset, err error) {
	err = row.Scan(&a.ID, &a.WorkspaceID, &a.RoomID, &a.SessionID, &a.JobID, &a.Type, &a.Status, &a.Path, &a.Size, &a.Duration,
		jsonText{&a.Metadata}, jsonText{&a.Thumbnails}, (*timestamp)(&a.CreatedAt))
	return a, err
}

// Asset returns the workspace's asset of that id.
func (s *Store) Asset(ctx context.Context, workspaceID, id string) (Asset, error) {
	a, err := scanAsset(s.query(ctx).row(`SELECT `+assetColumns+` FROM assets WHERE id = ? AND workspace_id = ?`, id, workspaceID))
	return a, found(err, "asset", id)
}

// AssetFilter says which assets are listed. Zero fields do not filter.
type AssetFilter struct {
	RoomID    string
	SessionID string
	Type      AssetType
	Status    AssetStatus
}

// Assets lists the workspace's assets, newest first.
func (s *Store) Assets(ctx context.Context, workspaceID string, f AssetFilter, p Page) ([]Asset, error) {
	w := where("workspace_id = ?", workspaceID)
	w.is("room_id", f.RoomID)
	w.is("session_id", f.SessionID)
	w.is("type", string(f.Type))
	w.is("status", string(f.Status))
	w.page("id", p)
	rows, err := s.query(ctx).rows(`SELECT `+assetColumns+` FROM assets`+w.text, w.args...)
	return collect(rows, err, scanAsset)
}

// AssetsOf returns what the jobs and live streams of these ids left, by their ids, oldest first.
func (s *Store) AssetsOf(ctx context.Context, jobIDs ...string) (map[string][]Asset, error) {
	if len(jobIDs) == 0 {
		return nil, nil
	}
	in, args := anyOf("job_id", jobIDs)
	rows, err := s.query(ctx).rows(`SELECT `+assetColumns+` FROM assets WHERE `+in+` ORDER BY id`, args...)
	all, err := collect(rows, err, scanAsset)
	by := make(map[string][]Asset)
	for _, a := range all {
		by[a.JobID] = append(by[a.JobID], a)
	}
	return by, err
}

// SaveAsset records a file (empty id), or what became of it. Room, session, job and type stay as they were recorded.
func (s *Store) SaveAsset(ctx context.Context, a Asset) (Asset, error) {
	isNew := a.ID == ""
	if isNew {
		a.ID = NewID()
	}
	err := s.update(ctx, func(t *tx) error {
		if !isNew {
			n, err := t.exec(`UPDATE assets SET status = ?, path = ?, size = ?, duration = ?, metadata_json = ?, thumbnails_json = ? WHERE id = ?`,
				string(a.Status), a.Path, a.Size, a.Duration, jsonOf(a.Metadata), jsonOf(a.Thumbnails), a.ID)
			return changed(n, err, "asset", a.ID)
		}
		room, err := t.room(a.RoomID)
		if err != nil {
			return err
		}
		a.WorkspaceID, a.CreatedAt = room.WorkspaceID, trunc(time.Now())
		return t.insertAsset(a)
	})
	return a, err
}

func (t *tx) insertAsset(a Asset) error {
	_, err := t.exec(`INSERT INTO assets (`+assetColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.WorkspaceID, a.RoomID, a.SessionID, a.JobID, string(a.Type), string(a.Status), a.Path, a.Size, a.Duration,
		jsonOf(a.Metadata), jsonOf(a.Thumbnails), millis(a.CreatedAt))
	return err
}
