package recording

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // formats of stills
	_ "image/png"
	"log/slog"
	"os"
	"path"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"amphi/server/policy"
	"amphi/server/storage"
	"amphi/server/store"
)

const (
	// posterAt is where the picture of a recording's poster is: the first ones may show an empty stage. Of a short
	// recording it is the one in the middle.
	posterAt = 2 * time.Second

	stillWidth, stillHeight = 1280, 720 // that they fit into, if nobody says
)

// stills are the pictures of a recording that can be looked at without playing it. They are made of key pictures, of
// which each segment has one at its beginning: no other has to be decoded.
type stills struct {
	poster     store.Still // without a path: there is none
	jpeg       []byte      // the poster's
	thumbnails []store.Still
}

// thumbnailOffsets are the times of the thumbnails that a template wants, in seconds from the beginning.
func thumbnailOffsets(t *policy.Thumbnails) []int {
	switch {
	case t == nil || !t.Enabled:
		return nil
	case len(t.Offsets) == 0:
		return []int{2}
	default:
		return t.Offsets
	}
}

// stills makes and stores the poster, and the thumbnails that the spec asks for. A recording is worth having without: what
// cannot be made is left out.
func (m *Manager) stills(ctx context.Context, r *reel, to storage.Place, prefix string, log *slog.Logger) (s stills) {
	if m.cfg.Still == nil || r.spec.AudioOnly {
		return s
	}
	width, height := stillWidth, stillHeight
	if t := r.spec.Thumbnails; t != nil && t.Width > 0 && t.Height > 0 {
		width, height = t.Width, t.Height
	}
	name := path.Join(prefix, r.spec.folder(), r.spec.name())
	still := func(at time.Duration, format, key string) (st store.Still, picture []byte, err error) {
		defer func() {
			if err != nil && ctx.Err() == nil {
				log.Warn("still of a recording could not be made", "key", key, "err", err)
			}
		}()
		unit, err := r.keyPicture(at)
		if err != nil || unit == nil {
			return st, nil, err
		}
		m.making.Lock()
		picture, err = m.cfg.Still(ctx, unit, format, width, height)
		m.making.Unlock()
		if err != nil {
			return st, nil, err
		}
		shown, _, err := image.DecodeConfig(bytes.NewReader(picture))
		if err != nil {
			return st, nil, fmt.Errorf("recording: %w", err)
		}
		file := path.Join(r.dir, "still")
		defer os.Remove(file)
		if err := os.WriteFile(file, picture, 0o600); err != nil {
			return st, nil, diskError(err)
		}
		st = store.Still{Width: shown.Width, Height: shown.Height, Offset: int(at / time.Second)}
		if st.Path, err = m.cfg.Storage.Put(ctx, to, key, file); err != nil {
			return store.Still{}, nil, diskError(err)
		}
		st.URL, err = m.cfg.Storage.URL(ctx, st.Path, urlsFor(r.spec), to)
		return st, picture, err
	}
	s.poster, s.jpeg, _ = still(min(posterAt, r.duration()/2), "jpeg", name+".jpg")
	for _, offset := range thumbnailOffsets(r.spec.Thumbnails) {
		st, picture, err := still(time.Duration(offset)*time.Second, "png", fmt.Sprintf("%s-%d.png", name, offset))
		if err == nil && picture != nil {
			s.thumbnails = append(s.thumbnails, st)
		}
	}
	return s
}

// describe puts the stills into the record of a file that they are of.
func (s stills) describe(a *store.Asset) {
	if s.poster.Path != "" {
		a.Metadata["poster"] = s.poster.Path
	}
	for _, t := range s.thumbnails {
		a.Thumbnails = append(a.Thumbnails, t.Path)
	}
}

// keyPicture is what is shown at a time of the recording, or up to a second before: a key picture with its parameter
// sets, in Annex-B form. Nil: the recording is shorter.
func (r *reel) keyPicture(at time.Duration) ([]byte, error) {
	i := 0
	for ; i < len(r.segments) && at >= r.segments[i].Duration; i++ {
		at -= r.segments[i].Duration
	}
	if i == len(r.segments) {
		return nil, nil
	}
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(r.inits[r.segments[i].init][0])); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	body, err := r.body(i, 0)
	if err != nil {
		return nil, err
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if len(init.Tracks) == 0 || len(parts) == 0 || len(parts[0].Tracks) == 0 || len(parts[0].Tracks[0].Samples) == 0 {
		return nil, errNoPictures
	}
	codec, ok := init.Tracks[0].Codec.(*codecs.H264)
	first := parts[0].Tracks[0].Samples[0]
	if !ok || parts[0].Tracks[0].ID != videoID || first.IsNonSyncSample {
		return nil, errNoPictures
	}
	var units h264.AVCC
	if err := units.Unmarshal(first.Payload); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	return append(h264.AnnexB{codec.SPS, codec.PPS}, units...).Marshal()
}
