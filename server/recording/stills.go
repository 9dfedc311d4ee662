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
	"path/filepath"
	"slices"
	"strconv"
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

	// maxThumbnails is how many times a template may name, and how many thumbnails there are.
	maxThumbnails = 100

	// maxStill bounds the pictures that a still is made of, in bytes: what the media worker takes. Of a second with more
	// the still is an earlier picture.
	maxStill = 4 << 20
)

// still is a picture of a recording that can be looked at without playing it. It is made of the pictures of one segment, of
// which the first is a key picture: no other has to be decoded.
type still struct {
	store.Still
	poster bool
	name   string // the end of its key
	file   string
}

// thumbnailTimes are the times of the thumbnails that a template wants, from the beginning: as many as its FPS, or one, in
// the second after each of its offsets. With many of both there are so many less of each second.
func thumbnailTimes(t *policy.Thumbnails) (all []time.Duration) {
	if t == nil || !t.Enabled {
		return nil
	}
	offsets := slices.Compact(slices.Sorted(slices.Values(t.Offsets)))
	if len(offsets) == 0 {
		offsets = []int{2}
	}
	each := min(max(t.FPS, 1), max(maxThumbnails/len(offsets), 1))
	for _, offset := range offsets {
		for i := range each {
			all = append(all, time.Duration(offset)*time.Second+time.Duration(i)*time.Second/time.Duration(each))
		}
	}
	return all
}

// makeStills makes the poster, and the thumbnails that the spec asks for. A recording is worth having without: what cannot
// be made is left out.
func (m *Manager) makeStills(ctx context.Context, r *reel, log *slog.Logger) (made []still) {
	if m.cfg.Still == nil || r.spec.AudioOnly {
		return nil
	}
	width, height := stillWidth, stillHeight
	if t := r.spec.Thumbnails; t != nil && t.Width > 0 && t.Height > 0 {
		width, height = t.Width, t.Height
	}
	add := func(s still, at time.Duration, format string) {
		s.file = filepath.Join(r.dir, "still"+s.name)
		s.Offset = int(at / time.Second)
		err := func() error {
			unit, err := r.picturesTo(at)
			if err != nil || unit == nil {
				return err
			}
			m.making.Lock()
			picture, err := m.cfg.Still(ctx, unit, format, width, height)
			m.making.Unlock()
			if err != nil {
				return err
			}
			shown, _, err := image.DecodeConfig(bytes.NewReader(picture))
			if err != nil {
				return fmt.Errorf("recording: %w", err)
			}
			s.Width, s.Height = shown.Width, shown.Height
			if err := os.WriteFile(s.file, picture, 0o600); err != nil {
				return diskError(err)
			}
			made = append(made, s)
			return nil
		}()
		if err != nil && ctx.Err() == nil {
			log.Warn("still of a recording could not be made", "at", at, "err", err)
		}
	}
	add(still{name: ".jpg", poster: true}, min(posterAt, r.duration()/2), "jpeg")
	for _, at := range thumbnailTimes(r.spec.Thumbnails) {
		name := strconv.FormatFloat(at.Seconds(), 'f', -1, 64)
		if at%time.Second != 0 {
			name = fmt.Sprintf("%.3f", at.Seconds())
		}
		add(still{name: "-" + name + ".png"}, at, "png")
	}
	return made
}

// storeStills brings stills to their place, and puts them into the record of the recording and of the file that they are
// of.
func (m *Manager) storeStills(ctx context.Context, r *reel, made []still, to storage.Place, prefix string, result *store.Recorded, log *slog.Logger) {
	of := &result.Files[0].Asset
	if m.cfg.Storage.IsLocal(of.Path) { // not to wait again for a place that does not take anything
		to = m.cfg.Storage.Local
	}
	for _, s := range made {
		var err error
		if s.Path, err = m.cfg.Storage.Put(ctx, to, path.Join(prefix, r.spec.folder(), r.spec.name()+s.name), s.file); err == nil {
			s.URL, err = m.cfg.Storage.URL(ctx, s.Path, urlsFor(r.spec), to)
		}
		switch {
		case err != nil:
			log.Warn("still of a recording could not be stored", "still", s.name, "err", err)
		case s.poster:
			result.Poster, of.Metadata["poster"] = s.Still, s.Path
		default:
			result.Thumbnails, of.Thumbnails = append(result.Thumbnails, s.Still), append(of.Thumbnails, s.Path)
		}
	}
}

// picturesTo are the pictures of a segment up to that which is shown at a time of the recording, in Annex-B form: a key
// picture with its parameter sets, and those after it, each behind an access unit delimiter. Nil: the recording is shorter.
func (r *reel) picturesTo(at time.Duration) ([]byte, error) {
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
	if !ok || parts[0].Tracks[0].ID != videoID || parts[0].Tracks[0].Samples[0].IsNonSyncSample {
		return nil, errNoPictures
	}
	all, err := h264.AnnexB{codec.SPS, codec.PPS}.Marshal()
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	left := int64(at) * int64(init.Tracks[0].TimeScale) / int64(time.Second)
	first := true
	for _, part := range parts {
		for _, sample := range part.Tracks[0].Samples {
			if !first && left < 0 {
				return all, nil
			}
			var units h264.AVCC
			if err := units.Unmarshal(sample.Payload); err != nil {
				return nil, fmt.Errorf("recording: %w", err)
			}
			picture, err := h264.AnnexB(units).Marshal()
			if err != nil {
				return nil, fmt.Errorf("recording: %w", err)
			}
			if !first && len(all)+len(delimiter)+len(picture) > maxStill {
				return all, nil
			}
			if !first {
				all = append(all, delimiter...)
			}
			all = append(all, picture...)
			left -= int64(sample.Duration)
			first = false
		}
	}
	return all, nil
}

// delimiter is an access unit delimiter behind its start code, of pictures of any kind.
var delimiter = []byte{0, 0, 0, 1, 9, 0xf0}
