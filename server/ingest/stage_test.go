//go:build cgo

package ingest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"go.uber.org/goleak"

	"amphi/compositor/codec"
	"amphi/server/logtest"
	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

var workerPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "amphi-ingest-test")
	if err == nil {
		workerPath = filepath.Join(dir, mediaworker.Name)
		var out []byte
		if out, err = exec.Command("go", "build", "-o", workerPath, "amphi/compositor").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Println("ingest:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// shelf keeps no records.
type shelf struct{ room.Records }

func (shelf) LoadRoom(_ context.Context, id string) (room.Record, error) {
	return room.Record{RoomID: id, Name: "lab", CustomerID: "c1", TemplateID: "t1", Template: policy.StarterKit(), Enabled: true}, nil
}
func (shelf) SessionOpened(context.Context, room.Session) error                       { return nil }
func (shelf) SessionClosed(context.Context, room.Session, time.Time) error            { return nil }
func (shelf) PeerJoined(context.Context, room.Session, room.Stay) error               { return nil }
func (shelf) PeerLeft(context.Context, room.Session, room.Stay, room.Departure) error { return nil }
func (shelf) SaveState(context.Context, room.Session, []byte) error                   { return nil }
func (shelf) LinkedPolls(context.Context, string) ([]room.LinkedPoll, error)          { return nil, nil }

// diary takes no notes.
type diary struct{ room.Observer }

func (diary) Refused(context.Context, room.Session, room.Stay, room.Refusal) error { return nil }
func (diary) TrackChanged(room.Info, room.Stay, room.TrackChange)                  {}
func (diary) Reported(room.Info, room.Stay, protocol.Analytics)                    {}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// clip is three seconds of what an encoder sends: the sound is a tone that begins after one and a half.
type clip struct {
	pictures []clipUnit
	sounds   []clipUnit
	config   []byte
}

type clipUnit struct {
	at   time.Duration
	data []byte
}

func encode(t *testing.T) (c clip) {
	t.Helper()
	run := func(args ...string) []byte {
		out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-f", "lavfi", "-i"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	video := run("testsrc2=rate=30:size=320x180", "-t", "3", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:aud=1:repeat-headers=1", "-f", "h264", "-")
	aud := []byte{0, 0, 0, 1, 9}
	var maker H264
	for i, au := range bytes.Split(video, aud)[1:] {
		var nalus h264.AnnexB
		if err := nalus.Unmarshal(append(bytes.Clone(aud), au...)); err != nil {
			t.Fatal(err)
		}
		p, key, err := maker.Picture(nalus)
		if err != nil || key != (i%30 == 0) {
			t.Fatalf("picture %d: %v %v", i, key, err)
		}
		c.pictures = append(c.pictures, clipUnit{time.Duration(i) * time.Second / 30, p})
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(run("sine=frequency=1000:sample_rate=44100:samples_per_frame=441,volume=4,volume=0:enable='lt(t,1.5)'",
		"-t", "3", "-ac", "2", "-c:a", "aac", "-b:a", "128k", "-f", "adts", "-")); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets { // the first is for the encoder to come up to speed
		if i > 0 {
			c.sounds = append(c.sounds, clipUnit{time.Duration(i-1) * 1024 * time.Second / 44100, p.AU})
		}
	}
	config, err := mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 44100, ChannelConfig: 2}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c.config = config
	return c
}

// play sends the clip in real time, with timestamps that begin somewhere.
func (c clip) play(t *testing.T, s *Stage, base time.Duration) {
	t.Helper()
	began := time.Now()
	for pictures, sounds := c.pictures, c.sounds; len(pictures) > 0 || len(sounds) > 0; {
		if len(sounds) == 0 || len(pictures) > 0 && pictures[0].at <= sounds[0].at {
			p := pictures[0]
			pictures = pictures[1:]
			time.Sleep(time.Until(began.Add(p.at)))
			if err := s.Video(base+p.at, p.data); err != nil {
				t.Error(err)
			}
			continue
		}
		s.AAC((base + sounds[0].at).Round(time.Millisecond), c.config, sounds[0].data)
		sounds = sounds[1:]
	}
}

// tapped are the frames of a track.
type tapped struct {
	mu     sync.Mutex
	frames []sfu.Frame
}

func (p *tapped) list() []sfu.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sfu.Frame(nil), p.frames...)
}

// onset is when the tone begins that is heard first after a packet, and its frequency over the next second.
func onset(t *testing.T, packets []sfu.Frame) (at time.Time, hz float64) {
	t.Helper()
	d, err := codec.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pcm := make([]float32, codec.MaxOpus*codec.Channels)
	first, last, rises, n := -1.0, -1.0, 0, 0.0
	before := float32(0)
	for _, p := range packets {
		got, err := d.Decode(p.Data, pcm)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			v := pcm[2*i]
			if at.IsZero() && math.Abs(float64(v)) > 0.1 {
				at = p.Capture.Add(time.Duration(i) * time.Second / codec.SampleRate)
			}
			if !at.IsZero() {
				n++
				if n < codec.SampleRate && before < 0 && v >= 0 {
					last = n
					if first < 0 {
						first = n
					} else {
						rises++
					}
				}
			}
			before = v
		}
	}
	return at, float64(rises) * codec.SampleRate / (last - first)
}

// A source's pictures and sound are on stage, in time with each other, also when its worker dies and when it begins
// anew; then it is gone.
func TestStage(t *testing.T) {
	t.Parallel()
	log := &logtest.Journal{}
	m, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.NewRegistry(room.Config{SFU: m, Records: shelf{}, Observer: diary{}, Streamer: func() room.Streamer { return nil },
		NewID: func() string { return "s1" }, NodeID: "node-1", Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		rooms.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := rooms.Open(t.Context(), "lab")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	stages := make(chan *room.Stage, 100)
	defer r.Watch(func(s *room.Stage) { stages <- s })()

	closed := make(chan struct{})
	s, err := Enter(t.Context(), Config{Room: r, Name: "Camera", UserID: "camera-1", Media: m.Addresses, Worker: workerPath,
		Log: log.Log(), Closed: func() { close(closed) }})
	if err != nil {
		t.Fatal(err)
	}
	var tracks []room.StageTrack
	for tracks == nil {
		for _, p := range (<-stages).Peers {
			tracks = p.Tracks
		}
	}
	var picture, sound tapped
	var taps []*sfu.Tap
	var reading sync.WaitGroup
	for _, track := range tracks {
		into := &picture
		if track.Kind == protocol.Audio {
			into = &sound
			if !track.Muted {
				t.Error("the microphone is on before there is sound")
			}
		}
		tap := track.Media.Tap(sfu.TapConfig{})
		taps = append(taps, tap)
		reading.Go(func() {
			for f := range tap.Frames() {
				into.mu.Lock()
				into.frames = append(into.frames, f)
				into.mu.Unlock()
			}
		})
	}
	c := encode(t)
	c.play(t, s, 1000*time.Hour)
	until(t, "the clip", func() bool { return len(picture.list()) >= 90 && len(sound.list()) >= 145 })
	muted := true
	for muted {
		for _, track := range (<-stages).Peers[0].Tracks {
			if track.Kind == protocol.Audio {
				muted = track.Muted
			}
		}
	}
	p, a := picture.list(), sound.list()
	at, hz := onset(t, a)
	// Capture times are exact once reports have come, and the first second is over.
	t.Logf("the tone begins %v after its picture", at.Sub(p[45].Capture))
	if skew := at.Sub(p[45].Capture); skew.Abs() > 15*time.Millisecond {
		t.Errorf("the tone begins %v after its picture", skew)
	}
	if math.Abs(hz-1000) > 3 {
		t.Errorf("%.1f Hz", hz)
	}

	// The worker is killed, and the source begins anew: all goes on, later than before.
	if err := signalWorker(log, os.Kill); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	c.play(t, s, 0)
	until(t, "the clip again", func() bool { return len(picture.list()) >= 180 })
	again := picture.list()[90:]
	if d := again[0].RTPTime - p[89].RTPTime; int32(d) <= 0 {
		t.Errorf("pictures go back by %d ticks", -int32(d))
	}
	until(t, "the tone again", func() bool { return len(sound.list()) >= len(a)+70 })
	at, hz = onset(t, sound.list()[len(a)+5:])
	t.Logf("the tone begins %v after its picture, the second time", at.Sub(again[45].Capture))
	if skew := at.Sub(again[45].Capture); skew.Abs() > 25*time.Millisecond { // clocks are estimated anew
		t.Errorf("the tone begins %v after its picture, the second time", skew)
	}
	if math.Abs(hz-1000) > 3 {
		t.Errorf("%.1f Hz the second time", hz)
	}
	if !strings.Contains(log.String(), "sound worker lost") {
		t.Error("the worker was not killed")
	}
	if err := s.Video(10*time.Second, c.pictures[1].data); err != nil { // far ahead: it begins anew
		t.Error(err)
	}
	if err := s.Video(10*time.Second-33*time.Millisecond, c.pictures[2].data); err != ErrReordered {
		t.Errorf("%v of a picture that is shown before the last", err)
	}

	s.Leave()
	<-closed
	for _, tap := range taps {
		tap.Close()
	}
	reading.Wait()
}

// signalWorker sends a signal to the worker that the log names first.
func signalWorker(log *logtest.Journal, signal os.Signal) error {
	_, rest, _ := strings.Cut(log.String(), "sound worker started")
	_, rest, _ = strings.Cut(rest, "pid=")
	var pid int
	if _, err := fmt.Sscanf(rest, "%d", &pid); err != nil {
		return fmt.Errorf("no pid in the log: %w", err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Signal(signal)
}
