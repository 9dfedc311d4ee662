package recording

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"log/slog"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"amphi/server/policy"
	"amphi/server/recording/recordingtest"
	"amphi/server/store"
)

func newContext(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// skew is by how much the sound of a file ends after the pictures, and what of either is missing at its worst place.
func skew(t *testing.T, name string) (end, hole float64) {
	t.Helper()
	var ends [2]float64
	for i, stream := range []string{"v:0", "a:0"} {
		out := tool(t, "ffprobe", "-select_streams", stream, "-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0", name)
		last := math.NaN()
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); line == "" {
				continue // after side data
			}
			at, duration, _ := strings.Cut(strings.TrimRight(line, ","), ",")
			from, err1 := strconv.ParseFloat(at, 64)
			lasts, err2 := strconv.ParseFloat(duration, 64)
			if err1 != nil || err2 != nil {
				t.Fatalf("%q", line)
			}
			if !math.IsNaN(last) {
				hole = max(hole, math.Abs(from-last))
			}
			last = from + lasts
		}
		ends[i] = last
	}
	return ends[1] - ends[0], hole
}

// A recording with a pause in it, of two layers, in all forms.
func TestRecording(t *testing.T) {
	s := newStudio(t)
	s.open(func(c *Config) { c.Still = fakeStill })
	spec := s.spec()
	spec.Thumbnails = &policy.Thumbnails{Enabled: true, Width: 320, Height: 180, Offsets: []int{0, 5, 13, 60}, FPS: 2}
	tape, e := s.begin(spec)
	if _, err := s.Begin(spec); err == nil {
		t.Error("the same recording twice")
	}
	s.must(s.store.LiveStreamRunning(t.Context(), s.stream.ID, time.Now()))
	said := store.ChatMessage{SessionID: "S", PeerID: "p", Name: "Ann", UserID: "u", Type: "chat", Message: "one, \"two\"", SentAt: time.Now()}
	before := said
	before.SentAt = said.SentAt.Add(-time.Hour)
	s.must(s.store.AddChat(t.Context(), before, said))
	s.must(e.encode(4))
	tape.Pause(true)
	s.must(e.encode(3))
	tape.Pause(false)
	s.must(e.encode(3))
	e.End()
	s.must(s.store.LiveStreamRecorded(t.Context(), s.stream.ID, store.StoppedByRequest, time.Now()))
	tape.End()
	s.run(1)
	s.clean()

	// The fourth and the seventh segment were not complete when the pause began and ended: sound was yet to come.
	const want = 30 * 7
	assets := s.assets()
	if len(assets) != 5 {
		t.Fatalf("%+v", assets)
	}
	var messages []map[string]any
	text, err := os.ReadFile(s.fetch(assets[".json"]))
	s.must(err)
	s.must(json.Unmarshal(text, &messages))
	if len(messages) != 1 || messages[0]["message"] != said.Message || messages[0]["sender_name"] != "Ann" || assets[".json"].Metadata["output_mode"] != "json" {
		t.Errorf("%s %+v", text, assets[".json"])
	}
	chat, err := os.ReadFile(s.fetch(assets[".csv"]))
	s.must(err)
	wantChat := "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message\np,Ann,u,[]," + said.SentAt.UTC().Format(time.RFC3339) + ",chat,\"one, \"\"two\"\"\"\n"
	if string(chat) != wantChat {
		t.Errorf("%s", chat)
	}
	for layer, size := range []string{"640,360", "320,180"} {
		a := assets[strconv.Itoa(layer)+".mp4"]
		if a.Status != store.AssetCompleted || a.Duration != 7 || a.Type != store.AssetComposite {
			t.Errorf("%+v", a)
		}
		name := s.fetch(a)
		if n := pictures(t, name, "v:0"); n != want {
			t.Errorf("layer %d: %d pictures", layer, n)
		}
		out := tool(t, "ffprobe", "-show_entries", "stream=codec_name,width,height,duration:format=duration,format_name", "-of", "csv=p=0", name)
		if !strings.Contains(out, "h264,"+size) || !strings.Contains(out, "aac") {
			t.Errorf("layer %d: %s", layer, out)
		}
		if end, hole := skew(t, name); math.Abs(end) > .03 || hole > .03 {
			t.Errorf("layer %d: sound ends %.3f s after the pictures, and %.3f s are missing at a place", layer, end, hole)
		}
		// The table comes first, so that it plays while it is loaded.
		whole, err := os.ReadFile(name)
		s.must(err)
		if moov, mdat := strings.Index(string(whole), "moov"), strings.Index(string(whole), "mdat"); moov < 0 || moov > mdat {
			t.Errorf("layer %d: moov at %d, mdat at %d", layer, moov, mdat)
		}
		// A key picture that is sought is the one of that time.
		if out := tool(t, "ffprobe", "-read_intervals", "3.5%+#1", "-select_streams", "v:0", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", name); !strings.HasPrefix(out, "3.000000,K") {
			t.Errorf("layer %d: at 3.5 s %s", layer, out)
		}
	}
	vod := assets[".zip"]
	stills := append(vod.Thumbnails, vod.Metadata["poster"].(string))
	if len(stills) != 5 || assets["0.mp4"].Thumbnails != nil {
		t.Errorf("%q", stills)
	}
	for i, end := range []string{"-0.png", "-0.500.png", "-5.png", "-5.500.png", ".jpg"} {
		m, _, err := image.Decode(strings.NewReader(s.read(stills[i])))
		if err != nil || !strings.HasSuffix(stills[i], end) || m.Bounds().Dx() != 320 {
			t.Errorf("%s: %v %v", stills[i], m.Bounds(), err)
		}
	}
	if vod.Type != store.AssetVOD || vod.Metadata["num_layers"] != "2" || vod.Metadata["max_width"] != 640.0 {
		t.Errorf("%+v", vod)
	}
	url := recordingtest.Unzip(t, s.fetch(vod))
	if get(t, strings.Replace(url, "master.m3u8", "poster.jpg", 1)) != s.read(stills[4]) {
		t.Error("another poster in the ZIP")
	}
	for _, stream := range []string{"v:0", "v:1"} {
		if n := pictures(t, url, stream); n != want {
			t.Errorf("%s of the VOD: %d pictures", stream, n)
		}
	}
	for name, texts := range map[string][]string{
		"master.m3u8":            {"RESOLUTION=640x360", "RESOLUTION=320x180", "FRAME-RATE=30", "CODECS=\"avc1."},
		"stream_0/playlist.m3u8": {"#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-DISCONTINUITY\n", "#EXT-X-TARGETDURATION:1\n", "#EXT-X-ENDLIST", "segment-00006.m4s"},
	} {
		list := get(t, strings.Replace(url, "master.m3u8", name, 1))
		for _, text := range texts {
			if !strings.Contains(list, text) {
				t.Errorf("%s has no %q:\n%s", name, text, list)
			}
		}
	}

	events := s.events("hls.recording.success")
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	var told struct {
		Data struct {
			URL   string `json:"hls_vod_recording_presigned_url"`
			Size  int64  `json:"hls_vod_recording_size"`
			Chat  string `json:"chat_recording_presigned_url"`
			Files []struct {
				Layer string
				Width int
			} `json:"recording_single_files"`
			Poster     string `json:"recording_poster_presigned_url"`
			Thumbnails []struct {
				Width, Height, Offset int
				Location, URL         string
			} `json:"recording_thumbnails"`
		}
	}
	s.must(json.Unmarshal([]byte(events[0]), &told))
	if d := told.Data; int64(len(get(t, d.URL))) != d.Size || d.Size != vod.Size || len(d.Files) != 2 || d.Files[1].Layer != "1" || d.Files[1].Width != 320 || get(t, d.Chat) != wantChat ||
		len(d.Thumbnails) != 4 || d.Thumbnails[2].Offset != 5 || d.Thumbnails[1].Height != 180 || d.Thumbnails[1].Location != stills[1] || get(t, d.Thumbnails[1].URL) != s.read(stills[1]) ||
		get(t, d.Poster) != s.read(stills[4]) {
		t.Errorf("%s", events[0])
	}
}

// fakeStill makes a still of the colour of nothing, of what is a key picture with its parameter sets.
func fakeStill(_ context.Context, picture []byte, format string, width, height int) ([]byte, error) {
	var units h264.AnnexB
	first, more, _ := bytes.Cut(picture, delimiter)
	if n := bytes.Count(more, delimiter); len(more) > 0 && n != 30/2-1 {
		return nil, fmt.Errorf("%d pictures after the first two", n)
	}
	if err := units.Unmarshal(first); err != nil || !h264.IsRandomAccess(units) || units[0][0]&0x1f != byte(h264.NALUTypeSPS) || units[1][0]&0x1f != byte(h264.NALUTypePPS) {
		return nil, fmt.Errorf("no key picture: %w", err)
	}
	var b bytes.Buffer
	m := image.NewGray(image.Rect(0, 0, width, height))
	if format == "jpeg" {
		err := jpeg.Encode(&b, m, nil)
		return b.Bytes(), err
	}
	err := png.Encode(&b, m)
	return b.Bytes(), err
}

// read is the file of a path.
func (s *studio) read(path string) string {
	s.t.Helper()
	url, err := s.cfg.Storage.URL(s.t.Context(), path, time.Minute)
	s.must(err)
	return get(s.t, url)
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(res.Body).WriteTo(&b); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %d %v", url, res.StatusCode, err)
	}
	return b.String()
}

// A stream that goes on with another size of picture stays one file.
func TestNewSize(t *testing.T) {
	s := newStudio(t)
	s.open(func(c *Config) {
		c.Still = func(context.Context, []byte, string, int, int) ([]byte, error) {
			return nil, errors.New("no stills today")
		}
	})
	spec := s.spec()
	spec.Layers = spec.Layers[:1]
	tape, e := s.begin(spec)
	s.must(e.encode(2))
	e.End()
	upright, err := newClip("180x320")
	s.must(err)
	other, err := newEncoder([]clip{upright}, time.Now().Add(time.Hour), tape)
	s.must(err)
	defer other.Close()
	s.must(other.encode(2))
	other.End()
	again, err := newEncoder(s.clips[:1], time.Now().Add(2*time.Hour), tape)
	s.must(err)
	defer again.Close()
	s.must(again.encode(1))
	again.End()
	tape.End()
	s.run(1)
	assets := s.assets()
	name := s.fetch(assets["0.mp4"])
	if n := pictures(t, name, "v:0"); n != 150 {
		t.Errorf("%d pictures", n)
	}
	if shape := tool(t, "ffprobe", "-select_streams", "v:0", "-show_entries", "stream=sample_aspect_ratio", "-of", "csv=p=0", name); shape != "1:1" {
		t.Errorf("pixels are %s", shape)
	}
	if end, hole := skew(t, name); math.Abs(end) > .03 || hole > .03 {
		t.Errorf("sound ends %.3f s after the pictures, and %.3f s are missing at a place", end, hole)
	}
	vod := recordingtest.Unzip(t, s.fetch(assets[".zip"]))
	if n := pictures(t, vod, "v:0"); n != 150 {
		t.Errorf("%d pictures of the VOD", n)
	}
	list := get(t, strings.Replace(vod, "master", "stream_0/playlist", 1))
	if strings.Count(list, "#EXT-X-MAP") != 3 || strings.Count(list, "#EXT-X-DISCONTINUITY\n") != 2 {
		t.Errorf("%s", list)
	}
}

// The sound alone.
func TestAudioOnly(t *testing.T) {
	s := newStudio(t)
	j, err := s.store.StartJob(t.Context(), store.Job{Kind: store.Recording, RoomID: s.seed.Room.ID})
	s.must(err)
	s.stream.ID = j.ID
	s.open(nil)
	spec := s.spec()
	spec.Job, spec.VOD, spec.AudioOnly, spec.Layers = store.Recording, false, true, spec.Layers[:1]
	tape, e := s.begin(spec)
	s.must(e.encode(3))
	e.End()
	tape.End()
	s.run(1)
	out := tool(t, "ffprobe", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", s.fetch(s.assets()[".m4a"]))
	if out != "aac,141" { // 3 s of 1024 samples
		t.Errorf("%q", out)
	}
	if n := len(s.events("beam.recording.success")); n != 1 {
		t.Errorf("%d events", n)
	}
}

// recordUntilKilled is the part of a server that dies.
func recordUntilKilled(dir string) {
	m, err := New(Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	both, err := clips()
	if err != nil {
		panic(err)
	}
	spec := Spec{}
	if err := json.Unmarshal([]byte(os.Getenv("RECORDING_TEST_SPEC")), &spec); err != nil {
		panic(err)
	}
	tape, err := m.Begin(spec)
	if err != nil {
		panic(err)
	}
	e, err := newEncoder(both[:], time.Now(), tape)
	if err != nil {
		panic(err)
	}
	for n := 0; ; n++ {
		if err := e.encode(1); err != nil {
			panic(err)
		}
		for len(tape.queue) > 0 {
			time.Sleep(time.Millisecond)
		}
		fmt.Println(n)
		time.Sleep(10 * time.Millisecond)
	}
}

// What a killed server leaves is finished by the next, or goes on, and has all up to the last segment.
func TestKilled(t *testing.T) {
	t.Run("finished", func(t *testing.T) { testKilled(t, false) })
	t.Run("resumed", func(t *testing.T) { testKilled(t, true) })
}

func testKilled(t *testing.T, resumed bool) {
	s := newStudio(t)
	dir := filepath.Join(s.dir, "recording")
	spec, err := json.Marshal(s.spec())
	s.must(err)
	self, err := os.Executable()
	s.must(err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), "RECORDING_TEST_CHILD="+dir, "RECORDING_TEST_SPEC="+string(spec))
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	s.must(err)
	s.must(child.Start())
	last := 0
	for lines := bufio.NewScanner(out); last < 25 && lines.Scan(); {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Errorf("%q", lines.Text())
		}
	}
	s.must(child.Process.Signal(syscall.SIGKILL))
	_ = child.Wait()
	if !resumed {
		s.must(s.store.LiveStreamFailed(t.Context(), s.stream.ID, store.Failure{At: time.Now(), Type: "INTERNAL_ERROR"}))
	}

	// And what else a crash can leave: half a segment, half a line.
	for name, half := range map[string]string{journalName: `{"start":"2026-`, "layer-0": "half a segment"} {
		f, err := os.OpenFile(filepath.Join(dir, s.stream.ID, name), os.O_APPEND|os.O_WRONLY, 0)
		s.must(err)
		_, err = f.WriteString(half)
		s.must(err)
		s.must(f.Close())
	}
	empty := store.NewID() // one whose journal has not even a first line
	s.must(os.Mkdir(filepath.Join(dir, empty), 0o700))
	s.open(nil)
	more := 0
	if resumed {
		more = 30 * s.resume(3)
	}
	s.run(2)
	s.clean()
	assets := s.assets()
	n := pictures(t, s.fetch(assets["0.mp4"]), "v:0") - more
	if n < 30*(last-1) || n > 30*(last+3) || n%30 != 0 {
		t.Errorf("%d pictures, the last second that was told of is %d", n, last)
	}
	if vod := pictures(t, recordingtest.Unzip(t, s.fetch(assets[".zip"])), "v:1") - more; vod != n {
		t.Errorf("%d pictures of %d", vod, n)
	}
	if len(s.events("hls.recording.success")) != 1 {
		t.Error("no event")
	}
	if l, err := s.store.LiveStream(t.Context(), s.seed.Workspace.ID, s.stream.ID); err != nil || l.Status != map[bool]store.Status{true: store.StatusCompleted, false: store.StatusFailed}[resumed] {
		t.Errorf("%+v %v", l, err)
	}
}

// resume goes on with the recording of the server before for so many seconds, with a pause in between that outlasts one
// more server, and ends it.
func (s *studio) resume(seconds int) (recorded int) {
	s.t.Helper()
	record := func(n int) *Tape {
		tape, err := s.Resume(s.stream.ID, func(err error) { s.t.Error(err) })
		s.must(err)
		e, err := newEncoder(s.clips[:], time.Now().Add(time.Minute), tape) // the first encoded faster than time goes
		s.must(err)
		defer e.Close()
		s.must(e.encode(n))
		e.End()
		return tape
	}
	tape := record(seconds)
	tape.Pause(true)
	close(tape.queue) // as if this one were killed too
	tape.closed = true
	<-tape.ended
	s.must(cutLastLine(filepath.Join(s.cfg.Dir, s.stream.ID, journalName)))
	tape = record(1)
	if !tape.Paused() {
		s.t.Error("it records what was not to be recorded")
	}
	s.must(s.store.LiveStreamRecorded(s.t.Context(), s.stream.ID, store.StoppedByRequest, time.Now()))
	tape.End()
	if _, err := s.Resume(s.stream.ID, nil); err == nil {
		s.t.Error("an ended recording goes on")
	}
	return seconds
}

// cutLastLine takes the end out of a journal.
func cutLastLine(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1], 0o600)
}

// Bytes that a disk has lost end the recording before them.
func TestDamaged(t *testing.T) {
	s := newStudio(t)
	s.open(nil)
	tape, e := s.begin(s.spec())
	s.must(e.encode(5))
	e.End()
	tape.End()
	name := filepath.Join(s.cfg.Dir, s.stream.ID, "layer-1")
	whole, err := os.ReadFile(name)
	s.must(err)
	copy(whole[len(whole)*7/10:], make([]byte, 100))
	s.must(os.WriteFile(name, whole, 0o600))
	s.run(1)
	if n := pictures(t, s.fetch(s.assets()["0.mp4"]), "v:0"); n != 90 {
		t.Errorf("%d pictures", n)
	}
}

// A recording ends while there is room for its files.
func TestDiskAlmostFull(t *testing.T) {
	s := newStudio(t)
	const disk = 1 << 20
	s.open(func(c *Config) {
		c.Free = func(dir string) (int64, error) {
			var used int64
			for _, name := range []string{"layer-0", "layer-1"} {
				if info, err := os.Stat(filepath.Join(dir, s.stream.ID, name)); err == nil {
					used += info.Size()
				}
			}
			return disk - used, nil
		}
	})
	tape, e, err := s.fill()
	if err == nil {
		t.Fatal("the disk does not get full")
	}
	e.End()
	tape.End()
	s.run(1)
	assets := s.assets()
	var all int64
	for _, a := range assets {
		all += a.Size
		if a.Status != store.AssetCompleted {
			t.Errorf("%+v", a)
		}
	}
	if len(assets) != 3 || all > disk {
		t.Errorf("%d files of %d bytes", len(assets), all)
	}
	if n := pictures(t, s.fetch(assets["0.mp4"]), "v:0"); n < 30 {
		t.Errorf("%d pictures", n)
	}

	small := newStudio(t)
	small.open(func(c *Config) { c.Reserve = math.MaxInt64 })
	if _, err := small.Begin(small.spec()); err == nil {
		t.Error("a recording on a full disk")
	}
	small.clean()
}

// Of a disk that is full at once everybody is told, and no half files stay.
func TestDiskFull(t *testing.T) {
	s := newStudio(t)
	dir := filepath.Join(s.dir, "recording")
	s.must(os.Mkdir(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a file system of its own needs root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	s.open(func(c *Config) { c.Free = func(string) (int64, error) { return math.MaxInt64, nil } })
	tape, e, err := s.fill()
	if err == nil || err.Error() != "the disk is full" {
		t.Fatalf("%v", err)
	}
	e.End()
	tape.End()
	s.must(s.store.LiveStreamRunning(t.Context(), s.stream.ID, time.Now()))
	s.must(s.store.LiveStreamRecorded(t.Context(), s.stream.ID, store.StoppedByRequest, time.Now()))
	s.run(1)
	s.clean()
	all, err := s.store.AssetsOf(t.Context(), s.stream.ID)
	s.must(err)
	for _, a := range all[s.stream.ID] {
		if a.Status != store.AssetFailed || a.Metadata["error"] != "the disk is full" || a.Path != "" {
			t.Errorf("%+v", a)
		}
	}
	if events := s.events("hls.failure"); len(events) != 1 || !strings.Contains(events[0], "the disk is full") {
		t.Errorf("%v", events)
	}
}
