package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"amphi/server/egress"
	"amphi/server/ingest"
)

const (
	// fileLimit bounds one file, in bytes: ten seconds of 20 Mbit/s, which none of the pictures that are shown has.
	fileLimit = 25 << 20

	// requestLimit bounds a request, which servers may hold back until there is something new.
	requestLimit = 30 * time.Second

	maxRedirects = 5
)

// fetchHLS plays a stream, in its best variant, until it ends or the context does.
func fetchHLS(ctx context.Context, from *url.URL, allow egress.Rule, to *session) error {
	transport := allow.Transport(nil)
	defer transport.CloseIdleConnections()
	quiet := func(string) {}
	c := &gohlslib.Client{
		URI: from.String(),
		HTTPClient: &http.Client{Transport: bounded{transport}, Timeout: requestLimit, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) >= maxRedirects {
				return errors.New("too many redirects")
			}
			return nil
		}},
		OnDownloadPrimaryPlaylist: quiet, OnDownloadStreamPlaylist: quiet, OnDownloadSegment: quiet, OnDownloadPart: quiet,
		OnDecodeError: func(error) {},
	}
	c.OnTracks = func(tracks []*gohlslib.Track) error {
		err := listen(c, tracks, to)
		if err != nil {
			to.cancel(err)
		}
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	err := c.Wait2()
	if errors.Is(err, gohlslib.ErrClientEOS) {
		return errStreamEnded
	}
	return err
}

// listen takes the first pictures and the first sound of a stream.
func listen(c *gohlslib.Client, tracks []*gohlslib.Track, to *session) error {
	video, audio := false, false
	for _, t := range tracks {
		switch codec := t.Codec.(type) {
		case *codecs.H264:
			if video {
				continue
			}
			video = true
			to.parameters(codec.SPS, codec.PPS)
			c.OnDataH26x(t, func(pts, _ int64, au [][]byte) { to.video(duration(pts, t.ClockRate), au) })
		case *codecs.MPEG4Audio:
			if audio {
				continue
			}
			config, err := codec.Config.Marshal()
			if err != nil {
				return fmt.Errorf("sound: %w", err)
			}
			audio = true
			c.OnDataMPEG4Audio(t, func(pts int64, units [][]byte) {
				aacs(to, duration(pts, t.ClockRate), config, codec.Config.SampleRate, units)
			})
		case *codecs.Opus:
			if audio {
				continue
			}
			audio = true
			c.OnDataOpus(t, func(pts int64, packets [][]byte) {
				for i, p := range packets { // of 20 ms, as nearly all are
					to.opus(duration(pts, t.ClockRate)+time.Duration(i)*20*time.Millisecond, p)
				}
			})
		}
	}
	if !video {
		return ingest.ErrNoH264
	}
	return nil
}

// bounded bounds the files that come.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, fileLimit}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errTooLarge = fmt.Errorf("a file of more than %d MB", fileLimit>>20)

// Read implements [io.Reader].
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
