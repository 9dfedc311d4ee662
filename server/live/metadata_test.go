package live

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
)

// TestMetadata: players find the payload in the playlist, if the destination wants that.
func TestMetadata(t *testing.T) {
	t.Parallel()
	md := []protocol.TimedMetadata{{Payload: "poll:p1", Duration: 5}}
	for _, enabled := range []bool{true, false} {
		h := newHouse(t, actor(t, "play"), Config{}, func(p *policy.Template) { p.Destinations.HLS["main"].MetadataInserted = enabled })
		r := h.open()
		wantCode(t, h.Metadata(t.Context(), r, md), 404)
		url := h.start(r).URL
		if !enabled {
			wantCode(t, h.Metadata(t.Context(), r, md), 400)
			continue
		}
		if err := h.Metadata(t.Context(), r, md); err != nil {
			t.Fatal(err)
		}
		media := mediaPlaylist(t, url)
		h.until("the payload in the playlist", func() bool { return strings.Contains(read(t, media), "#EXT-X-DATERANGE:") })
		if err := h.StopHLS(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		h.until("the end", func() bool { return h.Stats().Streams == 0 })
		wantCode(t, h.Metadata(t.Context(), r, md), 404)
	}
}

// TestEvent: a stream whose viewers can go back to the start says so.
func TestEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{Dir: t.TempDir()}, func(p *policy.Template) { p.Destinations.HLS["main"].PlaylistType = "event" })
	r := h.open()
	media := mediaPlaylist(t, h.start(r).URL)
	if text := read(t, media); !strings.Contains(text, "#EXT-X-PLAYLIST-TYPE:EVENT\n") || h.state(r).PlaylistType != "dvr" {
		t.Errorf("%s is\n%s", h.state(r).PlaylistType, text)
	}
	out := h.origin.Stream(hls.Key{Customer: r.Info().CustomerID, Room: r.ID()})
	if err := h.StopHLS(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	h.until("the end", func() bool { return h.Stats().Streams == 0 })
	out.Close() // before players have come to its end
}

// mediaPlaylist is the address of a stream's first rendition.
func mediaPlaylist(t *testing.T, url string) string {
	t.Helper()
	for _, line := range strings.Split(read(t, url), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			return strings.TrimSuffix(url, "master.m3u8") + line
		}
	}
	t.Fatalf("no rendition at %s", url)
	return ""
}

func read(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
