package recording

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"amphi/server/store"
)

// trackClip is a second of what a browser sends, by codec: 30 frames with two key frames, or 50 packets.
type trackClip struct {
	frames []frame
	kind   string
}

var trackClips = sync.OnceValues(func() (map[string]trackClip, error) {
	clips := make(map[string]trackClip)
	for codec, args := range map[string]string{
		"VP8":  "-c:v libvpx -deadline realtime -cpu-used 8 -auto-alt-ref 0 -g 15 -f ivf",
		"VP9":  "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -g 15 -f ivf",
		"AV1":  "-c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -g 15 -f ivf",
		"H264": "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -x264-params keyint=15:min-keyint=15:scenecut=0:aud=1:repeat-headers=1 -f h264",
		"opus": "-c:a libopus -page_duration 20000 -f ogg",
	} {
		source := "testsrc2=rate=30:size=320x180"
		if codec == "opus" {
			source = "sine=frequency=440:sample_rate=48000"
		}
		out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-f", "lavfi", "-i", source, "-t", "1"}, append(strings.Fields(args), "-")...)...).Output()
		if err == nil {
			clips[codec], err = parseClip(codec, out)
		}
		if err != nil {
			return nil, errors.Join(errors.New(codec+" (the tests need ffmpeg)"), err)
		}
	}
	return clips, nil
})

func parseClip(codec string, file []byte) (c trackClip, err error) {
	c.kind = "video"
	add := func(data []byte, key bool, each time.Duration) {
		c.frames = append(c.frames, frame{time.Duration(len(c.frames)) * each, key, data})
	}
	switch codec {
	case "opus":
		c.kind = "audio"
		pages, _, err := oggreader.NewWith(bytes.NewReader(file))
		for err == nil {
			var page []byte
			if page, _, err = pages.ParseNextPage(); err == nil && !bytes.HasPrefix(page, []byte("OpusTags")) {
				add(page, true, 20*time.Millisecond)
			}
		}
		if !errors.Is(err, io.EOF) {
			return c, err
		}
	case "H264":
		aud := []byte{0, 0, 0, 1, 9}
		for i, au := range bytes.Split(file, aud)[1:] {
			add(append(bytes.Clone(aud), au...), i%15 == 0, time.Second/30)
		}
	default:
		r, _, err := ivfreader.NewWith(bytes.NewReader(file))
		for err == nil {
			var f []byte
			if f, _, err = r.ParseNextFrame(); err != nil {
				break
			}
			key := codec == "VP8" && f[0]&1 == 0 || codec == "VP9" && vp9.IsRandomAccess(f)
			if codec == "AV1" {
				var units av1.Bitstream
				key = units.Unmarshal(f) == nil && av1.IsRandomAccess2(units)
			}
			add(f, key, time.Second/30)
		}
		if !errors.Is(err, io.EOF) {
			return c, err
		}
	}
	return c, nil
}

func (s *studio) trackSpec(codec, kind, id string) Spec {
	return Spec{ID: store.NewID(), Customer: s.seed.Workspace.ID, Room: s.seed.Room.ID, Session: "S", Began: time.Now(),
		Track: &TrackSpec{ID: id, StreamID: "stream", PeerID: "peer", Kind: kind, Codec: codec}}
}

// play records clips one after the other.
func (s *studio) play(tape *TrackTape, c trackClip, seconds int) {
	for n := range seconds {
		for _, f := range c.frames {
			tape.Frame(time.Duration(n)*time.Second+f.at, f.key, f.data)
			if len(tape.queue) > maxFrames/2 {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// trackAssets are those of the session's tracks, by the ends of their paths.
func (s *studio) trackAssets() map[string]store.Asset {
	s.t.Helper()
	all, err := s.store.Assets(s.t.Context(), s.seed.Workspace.ID, store.AssetFilter{SessionID: "S", Type: store.AssetTrack}, store.Page{Limit: 100})
	s.must(err)
	by := make(map[string]store.Asset)
	for _, a := range all {
		_, name, _ := strings.Cut(a.Path, "/S/")
		by[name] = a
	}
	return by
}

// Tracks of all codecs become files that decode, from the first key frame on, and can be sought in.
func TestTracks(t *testing.T) {
	s := newStudio(t)
	s.open(nil)
	clips, err := trackClips()
	s.must(err)
	var tapes []*TrackTape
	for codec, c := range clips {
		tape, err := s.BeginTrack(s.trackSpec(codec, c.kind, codec))
		s.must(err)
		tape.Frame(0, false, []byte("what cannot be decoded without what came before"))
		s.play(tape, c, 6)
		tapes = append(tapes, tape)
	}
	for _, tape := range tapes {
		tape.End()
		tape.Frame(time.Hour, true, []byte("after the end"))
	}
	s.run(len(tapes))
	s.clean()
	assets := s.trackAssets()
	for codec, c := range clips {
		end := ".webm"
		if codec == "H264" {
			end = ".mkv"
		}
		a := assets["peer/stream/"+codec+end]
		if a.Status != store.AssetCompleted || a.Duration != 6 || a.Metadata["track_id"] != codec || a.Metadata["peer_id"] != "peer" ||
			a.Metadata["stream_id"] != "stream" || a.Metadata["track_type"] != c.kind || a.Metadata["started_at"] == nil {
			t.Errorf("%s: %+v of %v", codec, a, assets)
			continue
		}
		name := s.fetch(a)
		// One frame of another second is where it was asked for, found by the index.
		if out := tool(t, "ffprobe", "-read_intervals", "5.1%+#1", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", name); !strings.HasPrefix(out, "5.0") && !strings.HasPrefix(out, "5.1") || !strings.Contains(out, "K") {
			t.Errorf("%s at 5.1 s: %s", codec, out)
		}
		if n := pictures(t, name, "0"); n != 6*len(c.frames) {
			t.Errorf("%s: %d of %d frames", codec, n, 6*len(c.frames))
		}
		out := tool(t, "ffprobe", "-show_entries", "format=duration,format_name:stream=codec_name,width,height,sample_rate", "-of", "default=nk=0:nw=1", name)
		for _, want := range []string{"codec_name=" + strings.ToLower(codec), "format_name=matroska,webm"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %s", codec, out)
			}
		}
		if c.kind == "video" && !strings.Contains(out, "width=320\nheight=180") {
			t.Errorf("%s: %s", codec, out)
		}
	}
	if n := len(s.events("track.recording.success")); n != len(clips) {
		t.Errorf("%d events", n)
	}
}

// What a killed server leaves of a track is a file up to what was torn, and one of which nothing can be decoded has
// failed and says so. Ids lead nowhere, whatever they are.
func TestTrackLeftovers(t *testing.T) {
	s := newStudio(t)
	s.open(nil)
	clips, err := trackClips()
	s.must(err)
	const hostile = "../../../etc/x\x00\n/%2e%2e"
	spec := s.trackSpec("VP8", "video", hostile)
	spec.Track.PeerID, spec.Track.StreamID, spec.Track.Again = "..", strings.Repeat("/", 128), true
	tape, err := s.BeginTrack(spec)
	s.must(err)
	if _, err := s.BeginTrack(spec); err == nil {
		t.Error("the same recording twice")
	}
	s.play(tape, clips["VP8"], 2)
	noise := s.trackSpec("VP8", "video", "noise")
	bad, err := s.BeginTrack(noise)
	s.must(err)
	bad.Frame(0, true, bytes.Repeat([]byte("noise"), 100))
	tape.End()
	bad.End()
	name := filepath.Join(s.cfg.Dir, spec.ID, framesName)
	whole, err := os.ReadFile(name)
	s.must(err)
	s.must(os.WriteFile(name, whole[:len(whole)-7], 0o600))
	journal := filepath.Join(s.cfg.Dir, spec.ID, journalName)
	text, err := os.ReadFile(journal)
	s.must(err)
	s.must(os.WriteFile(journal, text[:bytes.IndexByte(text, '\n')+5], 0o600))
	s.open(nil) // the next server
	s.run(2)
	s.clean()
	assets := s.trackAssets()
	failed := assets[""]
	if failed.Status != store.AssetFailed || failed.Metadata["error"] != errNothingDecodable.Error() || failed.ID != noise.ID {
		t.Errorf("%+v", failed)
	}
	delete(assets, "")
	for path, a := range assets {
		if !strings.HasPrefix(path, "%2E./") || strings.Count(path, "/") != 2 || !strings.Contains(path, "%2E.%2F") ||
			a.Metadata["track_id"] != hostile || len(assets) != 1 {
			t.Errorf("%q: %+v", path, a)
		}
		if n := pictures(t, s.fetch(a), "0"); n != 59 {
			t.Errorf("%d pictures", n)
		}
	}
	if ok, not := s.trackEvents(); ok != 1 || not != 1 {
		t.Errorf("%d and %d events", ok, not)
	}
	for range 2 { // again, as after a crash in between
		s.must(s.store.TrackRecorded(t.Context(), store.RecordedTrack{Track: spec.Track.ref(spec), At: time.Now(), File: store.RecordedFile{Asset: store.Asset{ID: spec.ID}}}))
	}
	if ok, not := s.trackEvents(); ok+not != 0 {
		t.Error("told again")
	}
}

// trackEvents counts the webhooks about tracks that were recorded, and that were not.
func (s *studio) trackEvents() (ok, not int) {
	s.t.Helper()
	for {
		next, err := s.store.NextEvents(s.t.Context(), s.seed.Room.ID, 1)
		s.must(err)
		if len(next) == 0 {
			return ok, not
		}
		switch next[0].Type {
		case "track.recording.success":
			ok++
		case "track.recording.failure":
			not++
		}
		s.must(s.store.Settle(s.t.Context(), store.Outcome{Seq: next[0].Seq, Now: store.Delivered, At: time.Now()}))
	}
}

// A disk that is full ends the recording of a track, which is then complete up to there.
func TestTrackDiskFull(t *testing.T) {
	s := newStudio(t)
	full := make(chan struct{})
	s.open(func(c *Config) {
		c.Reserve = 1
		c.Free = func(string) (int64, error) {
			select {
			case <-full:
				return 0, nil
			default:
				return math.MaxInt64, nil
			}
		}
	})
	clips, err := trackClips()
	s.must(err)
	spec := s.trackSpec("opus", "audio", "microphone")
	failed := make(chan error, 1)
	spec.Failed = func(err error) { failed <- err }
	tape, err := s.BeginTrack(spec)
	s.must(err)
	s.play(tape, clips["opus"], 1)
	close(full)
	select {
	case err := <-failed:
		if !errors.Is(err, errDiskFull) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody is told")
	}
	s.play(tape, clips["opus"], 1)
	tape.End()
	s.run(1)
	if n := pictures(t, s.fetch(s.trackAssets()["peer/stream/microphone.webm"]), "0"); n != len(clips["opus"].frames) {
		t.Errorf("%d packets", n)
	}
	if _, err := s.BeginTrack(s.trackSpec("opus", "audio", "second")); err == nil {
		t.Error("a recording on a full disk")
	}
}

func TestKeyPart(t *testing.T) {
	ids := []string{"", ".", "..", "a", "a.b", ".a", "a/b", "a%2Fb", "a%b", "{5fe8}", "ä", strings.Repeat("x", 100), strings.Repeat("x", 101), strings.Repeat("/", 34), "\x00"}
	var parts []string
	for _, id := range ids {
		p := keyPart(id)
		if slices.Contains(parts, p) || p == "" || p == "." || p == ".." || len(p) > 100 || strings.ContainsAny(p, "/\\\x00") {
			t.Errorf("%q is %q", id, p)
		}
		parts = append(parts, p)
	}
	if keyPart("{5fe8-a_B.1}") != "{5fe8-a_B.1}" {
		t.Error("a usual id is changed")
	}
}

// Frames are of browsers, and files of a disk: whatever they hold, reading them ends.
func FuzzTrack(f *testing.F) {
	clips, err := trackClips()
	if err != nil {
		f.Skip(err)
	}
	codecs := []string{"VP8", "VP9", "AV1", "H264", "opus"}
	for i, codec := range codecs {
		f.Add(uint8(i), clips[codec].frames[0].data)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		codec := codecs[int(which)%len(codecs)]
		var c trackCodec
		if c.learn(codec, data) && codec != "opus" && (c.width <= 0 || c.height <= 0) {
			t.Errorf("%s of %dx%d", codec, c.width, c.height)
		}
		if b := c.block(data); len(data) > 0 && b == nil {
			t.Error("a frame is lost")
		}
		var file bytes.Buffer
		if len(data) > 0 {
			if _, err := writeFrame(&file, frame{1, true, data}); err != nil {
				t.Fatal(err)
			}
		}
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, append(file.Bytes(), data...), 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := readFrames(name, func(frame) error { n++; return nil }); err != nil || len(data) > 0 && n == 0 {
			t.Errorf("%d frames, %v", n, err)
		}
	})
}
