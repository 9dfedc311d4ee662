package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"amphi/server/store"
)

func (a *API) assetEndpoints() []endpoint {
	return described("Recording assets",
		managed("GET", "/v2/recording-assets", "List files of recordings, the newest first", a.listAssets),
		managed("GET", "/v2/recording-assets/{id}", "Get a file's description", a.getAsset),
		managed("GET", "/v2/recording-assets/{id}/presigned-url", "Get an address that the file can be read at for a while", a.presignAsset),
	)
}

// assetObject is a recording asset as it is answered.
type assetObject struct {
	ID        string            `json:"id"`
	JobID     string            `json:"job_id"`
	RoomID    string            `json:"room_id"`
	SessionID string            `json:"session_id"`
	Type      store.AssetType   `json:"type"`
	Status    store.AssetStatus `json:"status"`
	assetFile
}

// inlineAsset is a recording asset within the object of what it was recorded from.
type inlineAsset struct {
	ID     string            `json:"id"`
	Type   store.AssetType   `json:"type"`
	Status store.AssetStatus `json:"status"`
	assetFile
}

type assetFile struct {
	Path       string         `json:"path"`
	Size       int64          `json:"size"`     // bytes
	Duration   int            `json:"duration"` // seconds
	CreatedAt  time.Time      `json:"created_at"`
	Thumbnails []string       `json:"thumbnails"` // null for all but streams to be watched later
	Metadata   map[string]any `json:"metadata"`
}

func showFile(s store.Asset) assetFile {
	f := assetFile{Path: s.Path, Size: s.Size, Duration: s.Duration, CreatedAt: s.CreatedAt, Thumbnails: s.Thumbnails, Metadata: s.Metadata}
	if f.Metadata == nil {
		f.Metadata = map[string]any{}
	}
	return f
}

func showAsset(s store.Asset) assetObject {
	return assetObject{ID: s.ID, JobID: s.JobID, RoomID: s.RoomID, SessionID: s.SessionID, Type: s.Type, Status: s.Status, assetFile: showFile(s)}
}

// showInline is null when there are none.
func showInline(assets []store.Asset) []inlineAsset {
	var list []inlineAsset
	for _, s := range assets {
		list = append(list, inlineAsset{ID: s.ID, Type: s.Type, Status: s.Status, assetFile: showFile(s)})
	}
	return list
}

// assetQuery says which assets are listed.
type assetQuery struct {
	RoomID    objectID `query:"room_id"`
	SessionID objectID `query:"session_id"`
	Status    string   `query:"status"`
	Type      string   `query:"type"`
	AssetType string   `query:"asset_type"` // the same, as some guides name it
	pageQuery
}

var assetStatuses = []store.AssetStatus{store.AssetProcessing, store.AssetCompleted, store.AssetFailed}

func (in *assetQuery) check() error {
	in.Type = cmp.Or(in.Type, in.AssetType)
	if in.Status != "" && !slices.Contains(assetStatuses, store.AssetStatus(in.Status)) {
		return badParam("query", "status must be one of %v", assetStatuses)
	}
	if in.Type != "" && !slices.Contains(store.AssetTypes, store.AssetType(in.Type)) {
		return badParam("query", "type must be one of %v", store.AssetTypes)
	}
	return nil
}

func (a *API) listAssets(r *http.Request, workspaceID string, in assetQuery) (list[assetObject], error) {
	filter := store.AssetFilter{RoomID: string(in.RoomID), SessionID: string(in.SessionID), Type: store.AssetType(in.Type), Status: store.AssetStatus(in.Status)}
	assets, err := a.Store.Assets(r.Context(), workspaceID, filter, in.page())
	return listOf(int(in.Limit), assets, showAsset, func(s store.Asset) string { return s.ID }), err
}

// asset returns the asset of the path.
func (a *API) asset(r *http.Request, workspaceID string) (store.Asset, error) {
	s, err := a.Store.Asset(r.Context(), workspaceID, r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return s, refuse(http.StatusNotFound, "recording asset not found")
	}
	return s, err
}

func (a *API) getAsset(r *http.Request, workspaceID string, _ nothing) (assetObject, error) {
	s, err := a.asset(r, workspaceID)
	return showAsset(s), err
}

// Bounds of the time that an address is good for, seconds.
const (
	defaultPresign = 3 * 24 * 3600
	maxPresign     = 7 * 24 * 3600
)

type presignQuery struct {
	Duration int `query:"presign_duration"` // seconds
}

func (in *presignQuery) check() error {
	in.Duration = cmp.Or(in.Duration, defaultPresign)
	if in.Duration < 0 || in.Duration > maxPresign {
		return badParam("query", "presign_duration must be 1 to %d seconds", maxPresign)
	}
	return nil
}

// presigned is the answer with the address of a file.
type presigned struct {
	ID     string `json:"id"`
	Path   string `json:"path"`
	URL    string `json:"url"`
	Expiry int    `json:"expiry"` // seconds

	PosterURL     string   `json:"poster_url,omitempty"`     // of a recording that has one
	ThumbnailURLs []string `json:"thumbnail_urls,omitempty"` // in the order of the asset's thumbnails
}

func (a *API) presignAsset(r *http.Request, workspaceID string, in presignQuery) (presigned, error) {
	s, err := a.asset(r, workspaceID)
	if err != nil {
		return presigned{}, err
	}
	if a.Recorder == nil || s.Status != store.AssetCompleted {
		return presigned{}, refuse(http.StatusNotFound, "this server does not have the file of the recording asset")
	}
	address := func(path string) (string, error) {
		file := s
		file.Path = path
		return a.Recorder.AssetURL(r.Context(), file, time.Duration(in.Duration)*time.Second)
	}
	p := presigned{ID: s.ID, Path: s.Path, Expiry: in.Duration}
	if p.URL, err = address(s.Path); err != nil {
		return presigned{}, err
	}
	if poster, ok := s.Metadata["poster"].(string); ok {
		if p.PosterURL, err = address(poster); err != nil {
			return presigned{}, err
		}
	}
	for _, path := range s.Thumbnails {
		url, err := address(path)
		if err != nil {
			return presigned{}, err
		}
		p.ThumbnailURLs = append(p.ThumbnailURLs, url)
	}
	return p, nil
}
