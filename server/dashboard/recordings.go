package dashboard

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

// playFor is how long the address of a recording on its page is good, seconds.
const playFor = 3600

func (d *dashboard) recordings() {
	d.handle("GET /dashboard/recordings", account.Viewer, (*visit).listRecordings)
	d.handle("GET /dashboard/recordings/{asset}", account.Viewer, (*visit).showRecording)
}

func recordingRow(a store.Asset, room string) dash.RecordingRow {
	return dash.RecordingRow{ID: a.ID, Type: string(a.Type), Status: string(a.Status), RoomID: a.RoomID, Room: room, SessionID: a.SessionID,
		Size: a.Size, Seconds: a.Duration, Made: a.CreatedAt}
}

func (v *visit) listRecordings() error {
	list := dash.RecordingList{Filter: dash.Form{Values: v.r.URL.Query()}}
	for _, t := range store.AssetTypes {
		if t != store.AssetCompositeSFU { // the same to people
			list.Types = append(list.Types, dash.Option{Value: string(t), Label: dash.KindOfRecording(string(t))})
		}
	}
	roomID, ok, err := v.roomByText(v.query("room"))
	if err != nil {
		return err
	}
	filter := store.AssetFilter{RoomID: roomID, Type: store.AssetType(v.query("type")), Status: store.AssetStatus(v.query("status"))}
	list.Filtered = v.query("room") != "" || filter.Type != "" || filter.Status != ""
	if ok {
		assets, err := v.Store.Assets(v.ctx(), v.Workspace.ID, filter, store.Page{Limit: pageSize + 1, Start: v.start()})
		if err != nil {
			return err
		}
		assets, last := onePage(assets, func(a store.Asset) string { return a.ID })
		list.Pages = v.pages(last)
		var rooms []string
		for _, a := range assets {
			rooms = append(rooms, a.RoomID)
		}
		names, err := v.Store.RoomNames(v.ctx(), v.Workspace.ID, rooms)
		if err != nil {
			return err
		}
		for _, a := range assets {
			list.Recordings = append(list.Recordings, recordingRow(a, names[a.RoomID]))
		}
	}
	return v.page("Recordings", dash.PlaceRecordings, dash.RecordingsPage(list))
}

func (v *visit) showRecording() error {
	a, err := v.Store.Asset(v.ctx(), v.Workspace.ID, v.value("asset"))
	if err != nil {
		return err
	}
	names, err := v.Store.RoomNames(v.ctx(), v.Workspace.ID, []string{a.RoomID})
	if err != nil {
		return err
	}
	p := dash.RecordingDetail{RecordingRow: recordingRow(a, names[a.RoomID]), Details: details(a)}
	var file struct {
		URL    string   `json:"url"`
		Poster string   `json:"poster_url"`
		Stills []string `json:"thumbnail_urls"`
	}
	switch a.Status {
	case store.AssetCompleted:
		err := v.call("GET", fmt.Sprintf("/v2/recording-assets/%s/presigned-url?presign_duration=%d", a.ID, playFor), nil, &file)
		if r := refused(err); r != nil {
			p.Gone = r.text() + "."
		} else if err != nil {
			return err
		}
	case store.AssetFailed:
		p.Gone = "The recording failed."
	default:
		p.Gone = "The recording is still being made. Load the page again in a moment."
	}
	p.URL = file.URL
	if v.ours(file.URL) {
		p.Player = playerOf(a)
		p.Poster, p.Stills = file.Poster, file.Stills
	} else if file.URL != "" {
		p.Gone = "The file is in a bucket, which this page does not show. Download it, or open its address in a player."
	}
	return v.page(dash.KindOfRecording(string(a.Type)), dash.PlaceRecordings, dash.RecordingPage(p))
}

// ours says whether an address is of this server, of which alone the pages' policy lets browsers play.
func (v *visit) ours(address string) bool {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return false
	}
	return u.Scheme+"://"+u.Host == v.origin(v.r) || u.Host == v.r.Host
}

func playerOf(a store.Asset) dash.Player {
	switch strings.ToLower(path.Ext(a.Path)) {
	case ".m3u8":
		return dash.HLSPlayer
	case ".mp4", ".webm":
		if kind, _ := a.Metadata["track_type"].(string); kind == "audio" {
			return dash.SoundPlayer
		}
		return dash.VideoPlayer
	case ".m4a", ".ogg", ".mp3":
		return dash.SoundPlayer
	}
	return dash.NoPlayer
}

// details are what the record of an asset tells besides, by name.
func details(a store.Asset) (list [][2]string) {
	for name, value := range a.Metadata {
		if name == "poster" {
			continue
		}
		if text := fmt.Sprint(value); len(text) <= 200 {
			list = append(list, [2]string{strings.ReplaceAll(name, "_", " "), text})
		}
	}
	slices.SortFunc(list, func(x, y [2]string) int { return cmp.Compare(x[0], y[0]) })
	return list
}
