package api

import (
	"net/http"
	"net/url"
	"slices"
)

// Bounds of a playlist.
const (
	maxPlaylistItems = 100
	maxPlaylistName  = 200  // bytes
	maxPlaylistURL   = 2048 // likewise
	usualVolume      = 50   // percent: music is mastered to full scale, people speak softer
)

// PlaylistItem is one piece: an MP3 of at most 6 MiB and 30 minutes, which is fetched when its turn comes.
type PlaylistItem struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// PlaylistSetup says what is played over a live stream.
type PlaylistSetup struct {
	Items  []PlaylistItem `json:"items"`
	Loop   bool           `json:"loop"`
	Volume int            `json:"volume"` // percent, 1 to 100; 0 is 50
}

// Playlist is what is played over a live stream.
type Playlist struct {
	PlaylistSetup
	State    string  `json:"state"`    // playing, paused or ended
	Index    int     `json:"index"`    // of the item
	Position float64 `json:"position"` // in it, seconds
	Duration float64 `json:"duration"` // of it, seconds
	Error    string  `json:"error"`    // why an item was left out last; empty: none was
}

// playlistInput is a playlist to play.
type playlistInput struct{ PlaylistSetup }

func (in *playlistInput) check() error {
	if n := len(in.Items); n == 0 || n > maxPlaylistItems {
		return badParam("body", "items must be 1 to %d", maxPlaylistItems)
	}
	for i, it := range in.Items {
		u, err := url.Parse(it.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(it.URL) > maxPlaylistURL {
			return badParam("body", "items[%d].url must be an http or https URL of at most %d bytes", i, maxPlaylistURL)
		}
		if len(it.Name) > maxPlaylistName {
			return badParam("body", "items[%d].name is longer than %d bytes", i, maxPlaylistName)
		}
	}
	if in.Volume == 0 {
		in.Volume = usualVolume
	}
	return checkVolume(in.Volume)
}

func checkVolume(percent int) error {
	if percent < 1 || percent > 100 {
		return badParam("body", "volume must be 1 to 100")
	}
	return nil
}

// playlistControl is what can be done with a playlist that is played.
type playlistControl struct {
	Action string `json:"action"` // one of playlistActions; empty: none
	Volume int    `json:"volume"` // percent; 0: as it was
}

var playlistActions = []string{"pause", "resume", "skip", "stop"}

func (in *playlistControl) check() error {
	if in.Action != "" && !slices.Contains(playlistActions, in.Action) || in.Action == "" && in.Volume == 0 {
		return badParam("body", "action must be one of %v, or volume given", playlistActions)
	}
	if in.Volume != 0 {
		return checkVolume(in.Volume)
	}
	return nil
}

func (a *API) playlistEndpoints() []endpoint {
	return described("Live streams",
		managed("POST", "/v2/live-streams/{stream_id}/playlist", "Play MP3s over a live stream, one after the other", a.startPlaylist),
		managed("GET", "/v2/live-streams/{stream_id}/playlist", "Get what is played over a live stream", a.getPlaylist),
		managed("POST", "/v2/live-streams/{stream_id}/playlist/control", "Pause, resume, skip or stop what is played, or change its volume", a.controlPlaylist),
	)
}

func (a *API) startPlaylist(r *http.Request, workspaceID string, in playlistInput) (Playlist, error) {
	l, err := a.activeStream(r, workspaceID)
	if err != nil {
		return Playlist{}, err
	}
	return a.Live.StartPlaylist(r.Context(), l.RoomID, in.PlaylistSetup)
}

func (a *API) getPlaylist(r *http.Request, workspaceID string, _ nothing) (Playlist, error) {
	l, err := a.activeStream(r, workspaceID)
	if err != nil {
		return Playlist{}, err
	}
	return a.Live.Playlist(l.RoomID)
}

func (a *API) controlPlaylist(r *http.Request, workspaceID string, in playlistControl) (Playlist, error) {
	l, err := a.activeStream(r, workspaceID)
	if err != nil {
		return Playlist{}, err
	}
	return a.Live.ControlPlaylist(l.RoomID, in.Action, in.Volume)
}
