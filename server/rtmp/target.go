package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"amphi/server/egress"
)

const (
	// queueUnits and queueBytes bound what waits for a server that reads slowly: about six seconds of a
	// stream with 30 pictures and 47 sounds a second. One that is further behind gets a gap instead.
	queueUnits = 480
	queueBytes = 8 << 20

	dialLimit = 10 * time.Second // from the name to the server's word that it takes the stream

	// stallLimit is how long a write may wait for a server that does not read.
	stallLimit = 10 * time.Second

	// byeLimit is how long a server gets for what still waits when the push ends.
	byeLimit = 2 * time.Second

	minBackoff = time.Second
	maxBackoff = 30 * time.Second

	// steady is how long a connection must have lasted for the next one to be tried soon.
	steady = 20 * time.Second
)

// unit is one access unit on its way to servers, who share it.
type unit struct {
	video, key bool
	at         time.Duration // presentation time; there are no B pictures, so decoding time too
	data       []byte        // of a picture AVCC without parameter sets
	head       *head         // of a picture: what belongs before it
}

// target is one server. What is given to it waits in a queue of its own for a goroutine of its own, so
// that no server costs another one anything.
type target struct {
	addr  Address
	allow egress.Rule
	tls   *tls.Config // nil but for tests
	log   *slog.Logger
	begun func()        // the server has taken the first picture
	ended chan struct{} // closed: the push ends

	mu      sync.Mutex
	open    bool // a connection takes units
	needKey bool // pictures are of no use before a key picture, nor is sound
	queue   []unit
	bytes   int
	wake    chan struct{} // one slot

	failure atomic.Pointer[string] // why there is no connection now
	stats   *counters
}

func newTarget(a Address, log *slog.Logger, stats *counters, begun func()) *target {
	return &target{addr: a, log: log.With("to", a), begun: begun, ended: make(chan struct{}), wake: make(chan struct{}, 1), stats: stats}
}

// offer gives the target a unit. It never waits.
func (t *target) offer(u unit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		return
	}
	if t.needKey {
		if !u.key {
			return
		}
		t.needKey = false
	}
	if len(t.queue) >= queueUnits || t.bytes+len(u.data) > queueBytes {
		t.stats.dropped.Add(uint64(len(t.queue)) + 1)
		t.queue, t.bytes, t.needKey = nil, 0, true
		return
	}
	t.queue = append(t.queue, u)
	t.bytes += len(u.data)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits.
func (t *target) take() []unit {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.queue
	t.queue, t.bytes = nil, 0
	return list
}

// setOpen begins or ends to take units.
func (t *target) setOpen(open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.needKey, t.queue, t.bytes = open, true, nil, 0
}

// run connects again and again until the push ends.
func (t *target) run() {
	pause := minBackoff
	for {
		began := time.Now()
		err := t.session()
		if err == nil {
			return
		}
		// What libraries say about what they have read may have the key in it.
		why := t.addr.redact(err.Error())
		t.failure.Store(&why)
		t.stats.lost.Add(1)
		if time.Since(began) > steady {
			pause = minBackoff
		}
		wait := pause + rand.N(pause/4)
		t.log.Warn("push lost", "err", why, "again_in", wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-t.ended:
			return
		}
		pause = min(2*pause, maxBackoff)
	}
}

// session is one connection. It returns nil when the push has ended.
func (t *target) session() error {
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	go func() {
		select {
		case <-t.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := dial(ctx, t.addr, t.allow, t.tls)
	if err != nil {
		select {
		case <-t.ended:
			return nil
		default:
			return err
		}
	}
	defer c.conn.Close()
	t.log.Info("push connected")
	t.setOpen(true)
	defer t.setOpen(false)
	lost := make(chan error, 1)
	go func() { lost <- c.listen(t.addr) }()
	err = t.write(c, lost)
	c.conn.Close()
	select {
	case <-lost: // the listener's end, if that was not the reason
	default:
		if err == nil || !errors.Is(err, errListener) {
			<-lost
		}
	}
	return err
}

// errListener marks what the listener said.
var errListener = errors.New("the server has ended the connection")

// write sends units until the connection or the push ends.
func (t *target) write(c *client, lost <-chan error) error {
	w, told := &writer{client: c, patience: stallLimit}, false
	ping := time.NewTicker(time.Second)
	defer ping.Stop()
	for {
		select {
		case err := <-lost:
			return fmt.Errorf("%w: %w", errListener, err)
		case <-t.ended:
			w.patience = 0
			_ = c.conn.SetWriteDeadline(time.Now().Add(byeLimit))
			if w.send(t.take()) == nil {
				c.bye(t.addr.key)
			}
			return nil
		case <-ping.C: // there may be something to answer
		case <-t.wake:
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(stallLimit))
		if err := c.flush(); err != nil {
			return err
		}
		list := t.take()
		if err := w.send(list); err != nil {
			return err
		}
		t.stats.sent.Add(uint64(len(list)))
		if w.base != nil && !told {
			told = true
			t.failure.Store(nil)
			t.begun()
		}
	}
}

// writer puts units into messages.
type writer struct {
	*client
	patience time.Duration  // with each message; zero: the deadline is set already
	base     *time.Duration // presentation time of the first picture, which is zero to the server
	head     *head          // that the server was told
}

func (w *writer) send(list []unit) error {
	for _, u := range list {
		if w.patience > 0 {
			_ = w.conn.SetWriteDeadline(time.Now().Add(w.patience))
		}
		if w.base == nil {
			if !u.key { // sound before the first picture
				continue
			}
			w.base = &u.at
		}
		at := u.at - *w.base
		if at < 0 {
			continue
		}
		if u.video && u.head != w.head {
			if err := w.begin(u.head, at); err != nil {
				return err
			}
		}
		var m message.Message
		if u.video {
			m = &message.Video{ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: messageStream, DTS: at,
				Codec: message.CodecH264, IsKeyFrame: u.key, Type: message.VideoTypeAU, AU: u.data}
		} else {
			m = audioMessage(at)
			m.(*message.Audio).AACType, m.(*message.Audio).AU = message.AudioAACTypeAU, u.data
		}
		if err := w.out.Write(m); err != nil {
			return err
		}
	}
	return nil
}

// begin tells what follows: the description that services show, and the decoders' configurations.
func (w *writer) begin(h *head, at time.Duration) error {
	w.head = h
	sound := audioMessage(at)
	sound.AACType = message.AudioAACTypeConfig
	sound.AACConfig = &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: h.format.SampleRate,
		ChannelConfig: uint8(h.format.Channels)}
	size := h.format.Sizes[0]
	for _, m := range []message.Message{
		&message.DataAMF0{ChunkStreamID: streamChunks, MessageStreamID: messageStream, Payload: []any{"@setDataFrame", "onMetaData", amf0.ECMAArray{
			{Key: "width", Value: float64(h.width)},
			{Key: "height", Value: float64(h.height)},
			{Key: "framerate", Value: float64(h.format.FrameRate)},
			{Key: "videocodecid", Value: float64(message.CodecH264)},
			{Key: "videodatarate", Value: float64(size.Bitrate / 1000)}, // kbit/s
			{Key: "audiocodecid", Value: float64(message.CodecMPEG4Audio)},
			{Key: "audiodatarate", Value: float64(h.format.AudioBitrate / 1000)},
			{Key: "audiosamplerate", Value: float64(h.format.SampleRate)},
			{Key: "audiosamplesize", Value: float64(16)},
			{Key: "stereo", Value: h.format.Channels == 2},
			{Key: "encoder", Value: "amphi"},
		}}},
		&message.Video{ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: messageStream, DTS: at, Codec: message.CodecH264,
			IsKeyFrame: true, Type: message.VideoTypeConfig, AVCConfig: h.config},
		sound,
	} {
		if err := w.out.Write(m); err != nil {
			return err
		}
	}
	return nil
}

// audioMessage is a message with AAC. What it says of rate and channels is fixed, whatever the sound is
// (Video File Format Specification 10.1, E.4.2.1).
func audioMessage(at time.Duration) *message.Audio {
	return &message.Audio{ChunkStreamID: message.AudioChunkStreamID, MessageStreamID: messageStream, DTS: at, Codec: message.CodecMPEG4Audio,
		Rate: message.AudioRate44100, Depth: message.AudioDepth16, IsStereo: true}
}
