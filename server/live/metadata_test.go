package live

import (
	"io"
	"net/http"
	"strings"
	"testing"

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
		read := func(url string) string {
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
		base := strings.TrimSuffix(url, "master.m3u8")
		var media string
		for _, line := range strings.Split(read(url), "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				media = base + line
			}
		}
		h.until("the payload in the playlist", func() bool { return strings.Contains(read(media), "#EXT-X-DATERANGE:") })
		if err := h.StopHLS(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		h.until("the end", func() bool { return h.Stats().Streams == 0 })
		wantCode(t, h.Metadata(t.Context(), r, md), 404)
	}
}
