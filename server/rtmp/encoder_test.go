package rtmp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"amphi/server/ingest"
	"amphi/server/live"
)

// tape is a connection that was recorded.
type tape struct {
	net.Conn
	in io.Reader
}

func (t tape) Read(b []byte) (int, error)     { return t.in.Read(b) }
func (tape) Write(b []byte) (int, error)      { return len(b), nil }
func (tape) SetDeadline(time.Time) error      { return nil }
func (tape) SetWriteDeadline(time.Time) error { return nil }
func (tape) Close() error                     { return nil }

// recorded is an encoder that sends messages.
func recorded(data []byte) *encoder {
	c := &frugalConn{Conn: tape{in: bytes.NewReader(data)}, since: time.Now(), trusted: true}
	counted := bytecounter.NewReadWriter(c)
	return &encoder{conn: c, rw: message.NewReadWriter(counted, counted, false)}
}

func messages(t testing.TB, list ...message.Message) []byte {
	t.Helper()
	var out bytes.Buffer
	w := message.NewWriter(&out, bytecounter.NewWriter(&out), false)
	for _, m := range list {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// clipMessages are the first pictures of the clip as an encoder sends them.
func clipMessages(t testing.TB, n int, delay time.Duration) (list []message.Message) {
	t.Helper()
	for i := range n {
		var nalus h264.AnnexB
		if err := nalus.Unmarshal(clip.video[i]); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			h, err := newHead(live.Format{}, nalus[1], nalus[2])
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, &message.Video{ChunkStreamID: 6, MessageStreamID: messageStream, Codec: message.CodecH264, IsKeyFrame: true,
				Type: message.VideoTypeConfig, AVCConfig: h.config})
		}
		au, err := h264.AVCC(nalus).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, &message.Video{ChunkStreamID: 6, MessageStreamID: messageStream, Codec: message.CodecH264, IsKeyFrame: i == 0,
			Type: message.VideoTypeAU, DTS: time.Duration(i) * 33 * time.Millisecond, PTSDelta: delay, AU: au})
	}
	return list
}

// Pictures come as they were sent, key pictures with their parameter sets.
func TestEncoder(t *testing.T) {
	e := recorded(messages(t, clipMessages(t, 5, 0)...))
	for i := range 5 {
		m, err := e.next()
		if err != nil || m.key != (i == 0) || m.at != time.Duration(i)*33*time.Millisecond || m.key != bytes.HasPrefix(m.picture, []byte{0, 0, 0, 1, 0x67}) {
			t.Fatalf("%d: %v %v % x %v", i, m.key, m.at, m.picture[:min(8, len(m.picture))], err)
		}
	}
	if _, err := e.next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v at the end", err)
	}
	for _, tt := range []struct {
		list []message.Message
		want error
	}{
		{clipMessages(t, 1, 66*time.Millisecond), ingest.ErrReordered},
		{clipMessages(t, 2, 0)[2:], ingest.ErrParameters},
		{[]message.Message{&message.Video{ChunkStreamID: 6, MessageStreamID: messageStream, Codec: message.CodecH265, Type: message.VideoTypeAU, AU: []byte{1}}}, ingest.ErrNoH264},
		{[]message.Message{&message.CommandAMF0{ChunkStreamID: 3, Name: "deleteStream", CommandID: 7, Arguments: []any{nil, float64(1)}}}, errEnded},
	} {
		if _, err := recorded(messages(t, tt.list...)).next(); !errors.Is(err, tt.want) {
			t.Errorf("%v, want %v", err, tt.want)
		}
	}
}

// Sounds come with their description; what is no AAC and no Opus is passed over.
func TestEncoderSounds(t *testing.T) {
	const chunks = message.AudioChunkStreamID
	config := &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2}
	aac := func(kind message.AudioAACType, c *mpeg4audio.AudioSpecificConfig, au ...byte) *message.Audio {
		return &message.Audio{ChunkStreamID: chunks, MessageStreamID: messageStream, Codec: message.CodecMPEG4Audio, Rate: message.AudioRate44100,
			IsStereo: true, AACType: kind, AACConfig: c, AU: au, DTS: 40 * time.Millisecond}
	}
	e := recorded(messages(t, aac(message.AudioAACTypeAU, nil, 1), aac(message.AudioAACTypeConfig, config), aac(message.AudioAACTypeAU, nil, 2),
		&message.Audio{ChunkStreamID: chunks, MessageStreamID: messageStream, Codec: message.CodecPCMA, AU: []byte{3, 3}},
		&message.AudioExCodedFrames{ChunkStreamID: chunks, MessageStreamID: messageStream, FourCC: message.FourCCOpus, Payload: []byte{4}},
		&message.AudioExCodedFrames{ChunkStreamID: chunks, MessageStreamID: messageStream, FourCC: message.FourCCFLAC, Payload: []byte{5}}))
	m, err := e.next()
	if err != nil || !bytes.Equal(m.sound, []byte{2}) || !bytes.Equal(m.config, []byte{0x11, 0x90}) || m.at != 40*time.Millisecond {
		t.Errorf("%+v %v", m, err)
	}
	m, err = e.next()
	if err != nil || !bytes.Equal(m.sound, []byte{4}) || m.config != nil {
		t.Errorf("%+v %v", m, err)
	}
	if m, err = e.next(); !errors.Is(err, io.EOF) {
		t.Errorf("%+v %v", m, err)
	}
}

// FuzzEncoder feeds what an encoder with a key may send.
func FuzzEncoder(f *testing.F) {
	f.Add(messages(f, clipMessages(f, 2, 0)...))
	f.Add(messages(f, clipMessages(f, 1, time.Second)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := recorded(data)
		for {
			m, err := e.next()
			if err != nil {
				return
			}
			if len(m.picture) == 0 && len(m.sound) == 0 {
				t.Error("neither a picture nor a sound")
			}
		}
	})
}
