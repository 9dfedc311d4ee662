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

	"amphi/server/live"
	"amphi/server/policy"
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
		p, err := e.next(func() {})
		if err != nil || p.key != (i == 0) || p.at != time.Duration(i)*33*time.Millisecond || p.key != bytes.HasPrefix(p.au, []byte{0, 0, 0, 1, 0x67}) {
			t.Fatalf("%d: %v %v % x %v", i, p.key, p.at, p.au[:min(8, len(p.au))], err)
		}
	}
	if _, err := e.next(func() {}); !errors.Is(err, io.EOF) {
		t.Errorf("%v at the end", err)
	}
	for _, tt := range []struct {
		list []message.Message
		want error
	}{
		{clipMessages(t, 1, 66*time.Millisecond), errReorder},
		{clipMessages(t, 1, 0)[1:], errMissing},
		{[]message.Message{&message.Video{ChunkStreamID: 6, MessageStreamID: messageStream, Codec: message.CodecH265, Type: message.VideoTypeAU, AU: []byte{1}}}, errNoH264},
		{[]message.Message{&message.CommandAMF0{ChunkStreamID: 3, Name: "deleteStream", CommandID: 7, Arguments: []any{nil, float64(1)}}}, io.EOF},
	} {
		if _, err := recorded(messages(t, tt.list...)).next(func() {}); !errors.Is(err, tt.want) {
			t.Errorf("%v, want %v", err, tt.want)
		}
	}
}

// FuzzEncoder feeds what an encoder with a key may send.
func FuzzEncoder(f *testing.F) {
	f.Add(messages(f, clipMessages(f, 2, 0)...))
	f.Add(messages(f, clipMessages(f, 1, time.Second)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := recorded(data)
		for {
			p, err := e.next(func() {})
			if err != nil {
				return
			}
			if len(p.au) == 0 {
				t.Error("a picture without content")
			}
		}
	})
}

// An encoder is what may publish video, and the most important of that.
func TestRoleFor(t *testing.T) {
	role := func(name string, priority int, may ...policy.Publishable) *policy.Role {
		return &policy.Role{Name: name, Priority: priority, PublishParams: policy.PublishParams{Allowed: may}}
	}
	roles := func(list ...*policy.Role) *policy.Template {
		t := &policy.Template{Roles: map[string]*policy.Role{}}
		for _, r := range list {
			t.Roles[r.Name] = r
		}
		return t
	}
	got, err := roleFor(roles(role("viewer", 1), role("speaker", 1, policy.PublishAudio), role("guest", 3, policy.PublishVideo), role("host", 2, policy.PublishVideo)))
	if err != nil || got != "host" {
		t.Errorf("%s %v", got, err)
	}
	if _, err := roleFor(roles(role("viewer", 1))); err == nil {
		t.Error("somebody who may publish nothing does")
	}
}
