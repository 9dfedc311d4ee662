package multitrack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
	"go.uber.org/goleak"

	"amphi/server/ingest"
	"amphi/server/policy"
	"amphi/server/recording"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/storage"
	"amphi/server/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is two seconds of a camera and a microphone.
type source struct{ pictures, packets [][]byte }

func newSource(t *testing.T) (s source) {
	t.Helper()
	run := func(args ...string) []byte {
		out, err := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-f", "lavfi", "-i"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	aud := []byte{0, 0, 0, 1, 9}
	var maker ingest.H264
	for _, au := range bytes.Split(run("testsrc2=rate=30:size=320x180", "-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
		"-pix_fmt", "yuv420p", "-x264-params", "keyint=15:min-keyint=15:scenecut=0:bframes=0:aud=1:repeat-headers=1", "-f", "h264", "-"), aud)[1:] {
		var nalus h264.AnnexB
		if err := nalus.Unmarshal(append(bytes.Clone(aud), au...)); err != nil {
			t.Fatal(err)
		}
		p, _, err := maker.Picture(nalus)
		if err != nil {
			t.Fatal(err)
		}
		s.pictures = append(s.pictures, p)
	}
	pages, _, err := oggreader.NewWith(bytes.NewReader(run("sine=frequency=440:sample_rate=48000", "-t", "2", "-c:a", "libopus", "-page_duration", "20000", "-f", "ogg", "-")))
	for err == nil {
		var page []byte
		if page, _, err = pages.ParseNextPage(); err == nil && !bytes.HasPrefix(page, []byte("OpusTags")) {
			s.packets = append(s.packets, page)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return s
}

// play publishes for a while, in real time.
func (c source) play(t *testing.T, s *ingest.Stage, length time.Duration) {
	t.Helper()
	began := time.Now()
	for pictures, packets := 0, 0; ; {
		picture, packet := time.Duration(pictures)*time.Second/30, time.Duration(packets)*20*time.Millisecond
		next := min(picture, packet)
		if next > length {
			return
		}
		time.Sleep(time.Until(began.Add(next)))
		var err error
		if next == packet {
			err = s.Opus(packet, c.packets[packets%len(c.packets)])
			packets++
		} else {
			err = s.Video(picture, c.pictures[pictures%len(c.pictures)])
			pictures++
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// tracked are rooms whose template wants tracks recorded.
type tracked struct{ records.Records }

func (r tracked) LoadRoom(ctx context.Context, id string) (room.Record, error) {
	v, err := r.Records.LoadRoom(ctx, id)
	if err == nil {
		v.Template.Recordings = []policy.Recording{{Name: "tracks", Role: "recorder", Track: &policy.RecordingMode{Enabled: true}}}
	}
	return v, err
}

// Somebody comes on stage, goes, and somebody else comes: each track of each of them is a file of its own, which plays, and
// the files of one person fit each other.
func TestMultitrack(t *testing.T) {
	log, dir := slog.New(slog.NewTextHandler(t.Output(), nil)), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), filepath.Join(dir, "amphi.db"))
	must(err)
	defer db.Close()
	seed, err := db.Seed(t.Context(), store.NewID)
	must(err)
	must(db.SetWebhook(t.Context(), seed.Workspace.ID, store.Webhook{URL: "http://127.0.0.1/hook"}))
	local, err := storage.OpenDirectory(filepath.Join(dir, "assets"), "http://localhost", []byte("secret"))
	must(err)
	defer local.Close()
	tapes, err := recording.New(recording.Config{Dir: filepath.Join(dir, "recording"), Storage: &storage.Storage{Local: local, Log: log}, Store: db, Log: log})
	must(err)
	ctx, cancel := context.WithCancel(t.Context())
	delivered := make(chan error)
	go func() { delivered <- tapes.Run(ctx) }()
	defer func() {
		cancel()
		must(<-delivered)
	}()
	media, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	must(err)
	defer media.Close()
	c := New(tapes, db, log)
	rooms := room.NewRegistry(room.Config{SFU: media, Records: tracked{records.Records{DB: db}}, Opened: c.Open,
		Streamer: func() room.Streamer { return nil }, NewID: store.NewID, NodeID: "node-1", Log: log})
	r, err := rooms.Open(t.Context(), seed.Room.ID)
	must(err)
	src := newSource(t)
	for _, name := range []string{"ann", "bob"} {
		s, err := ingest.Enter(t.Context(), ingest.Config{Room: r, Name: name, UserID: name, Media: media.Addresses, Log: log, Closed: func() {}})
		must(err)
		src.play(t, s, 2*time.Second)
		if n := c.Stats().Tracks; n != 2 {
			t.Errorf("%d tracks are recorded", n)
		}
		s.Leave()
	}
	session := r.Info().SessionID
	r.Release()
	rooms.Close()
	c.Wait()
	if st := c.Stats(); st.Tracks != 0 || st.Recorded != 4 {
		t.Errorf("%+v", st)
	}

	var assets []store.Asset
	for end := time.Now().Add(20 * time.Second); len(assets) < 4; time.Sleep(10 * time.Millisecond) {
		assets, err = db.Assets(t.Context(), seed.Workspace.ID, store.AssetFilter{SessionID: session, Type: store.AssetTrack}, store.Page{Limit: 10})
		must(err)
		if time.Now().After(end) {
			t.Fatalf("%+v", assets)
		}
	}
	began := make(map[any]time.Time) // by stream
	for _, a := range assets {
		path := filepath.Join(dir, "assets", strings.TrimPrefix(a.Path, "local://assets/"))
		want, codec := ".webm", "opus"
		if a.Metadata["track_type"] == "video" {
			want, codec = ".mkv", "h264"
		}
		m := a.Metadata
		if a.Status != store.AssetCompleted || !strings.HasSuffix(a.Path, strings.Join([]string{session, m["peer_id"].(string), m["stream_id"].(string), m["track_id"].(string)}, "/")+want) {
			t.Errorf("%+v", a)
		}
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames:format=duration",
			"-of", "csv=p=0", path).CombinedOutput()
		fields := strings.FieldsFunc(string(out), func(c rune) bool { return c == ',' || c == '\n' })
		if err != nil || len(fields) != 3 || fields[0] != codec {
			t.Errorf("%s: %v %s", path, err, out)
			continue
		}
		frames, _ := strconv.Atoi(fields[1])
		length, _ := strconv.ParseFloat(fields[2], 64)
		// The first key picture that comes after the recording began may be half a second away.
		if frames < map[string]int{"opus": 80, "h264": 40}[codec] || length < 1.2 || length > 3 {
			t.Errorf("%s: %d frames in %.3f s", path, frames, length)
		}
		at, err := time.Parse(time.RFC3339Nano, m["started_at"].(string))
		must(err)
		if other, ok := began[m["stream_id"]]; ok && at.Sub(other).Abs() > time.Second {
			t.Errorf("tracks of one person begin at %v and %v", at, other)
		}
		began[m["stream_id"]] = at
	}
	if len(began) != 2 {
		t.Errorf("%d people", len(began))
	}
	told := make(map[string]int)
	for {
		next, err := db.NextEvents(t.Context(), seed.Room.ID, 1)
		must(err)
		if len(next) == 0 {
			break
		}
		told[next[0].Type]++
		must(db.Settle(t.Context(), store.Outcome{Seq: next[0].Seq, Now: store.Delivered, At: time.Now()}))
	}
	if told["track.recording.started.success"] != 4 || told["track.recording.success"] != 4 {
		t.Errorf("%v", told)
	}
}

// Whose tracks are recorded: of those whom the recorder's role sees, or of all if there is no such role.
func TestRecordedRoles(t *testing.T) {
	kit := policy.StarterKit()
	if _, wanted := recordedRoles(kit); wanted {
		t.Error("recorded without being asked")
	}
	kit.Recordings = []policy.Recording{{Name: "r", Role: "nobody", Track: &policy.RecordingMode{Enabled: true}}}
	if roles, wanted := recordedRoles(kit); !wanted || len(roles) != len(kit.Roles) {
		t.Errorf("%v %v", roles, wanted)
	}
	kit.Recordings[0].Role = policy.RoleViewerRealtime
	if roles, _ := recordedRoles(kit); len(roles) != 1 || roles[0] != policy.RoleBroadcaster {
		t.Errorf("%v", roles)
	}
}
