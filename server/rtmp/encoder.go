package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// maxGreeting is how many messages an encoder may send before it publishes.
const maxGreeting = 64

// encoder is the connection of one that publishes here. One goroutine reads and writes.
type encoder struct {
	conn    *frugalConn
	rw      *message.ReadWriter
	publish *message.CommandAMF0
	key     string // as given, with a query

	sps, pps []byte
}

// Errors of encoders.
var (
	errNoH264   = errors.New("the encoder sends no H.264: choose H.264 (AVC) in its settings")
	errReorder  = errors.New("the encoder sends B-frames, which WebRTC cannot show: set its B-frames to 0")
	errMissing  = errors.New("the encoder sends pictures before their parameter sets")
	errNotHere  = errors.New("there is nothing of that name")
	errSecretly = errors.New("RTMPE is not supported")
)

// greet goes from the handshake to the encoder's wish to publish. Until that is granted an encoder may send as
// little as a server that takes no stream.
func greet(c net.Conn) (*encoder, error) {
	e := &encoder{conn: &frugalConn{Conn: c, since: time.Now()}}
	counted := bytecounter.NewReadWriter(e.conn)
	in, _, err := handshake.DoServer(counted, false)
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if in != nil {
		return nil, errSecretly
	}
	e.rw = message.NewReadWriter(counted, counted, false)
	connected := false
	for range maxGreeting {
		m, err := e.rw.Read()
		if err != nil {
			return nil, fmt.Errorf("greeting: %w", err)
		}
		cmd, ok := m.(*message.CommandAMF0)
		if !ok {
			continue
		}
		switch {
		case cmd.Name == "connect":
			if err := e.connect(cmd); err != nil {
				return nil, err
			}
			connected = true
		case cmd.Name == "createStream" && connected:
			if err := e.rw.Write(&message.CommandAMF0{ChunkStreamID: cmd.ChunkStreamID, Name: "_result", CommandID: cmd.CommandID,
				Arguments: []any{nil, float64(1)}}); err != nil {
				return nil, err
			}
		case cmd.Name == "publish" && connected:
			if len(cmd.Arguments) > 1 {
				e.key, _ = cmd.Arguments[1].(string)
			}
			e.publish = cmd
			return e, nil
		case cmd.Name == "play":
			e.publish = cmd
			e.refuse(errNotHere.Error())
			return nil, errNotHere
		}
	}
	return nil, errors.New("greeting: it does not come to an end")
}

// connect answers an encoder's first command (RTMP 1.0 §7.2.1.1).
func (e *encoder) connect(cmd *message.CommandAMF0) error {
	app := ""
	if len(cmd.Arguments) > 0 {
		if o, ok := cmd.Arguments[0].(amf0.Object); ok {
			app, _ = o.GetString("app")
		}
	}
	name, level, code, text := "_result", "status", "NetConnection.Connect.Success", "Connection succeeded."
	wrong := strings.Trim(app, "/") != App
	if wrong {
		name, level, code, text = "_error", "error", "NetConnection.Connect.Rejected", "the address must end in /"+App
	}
	for _, m := range []message.Message{
		&message.SetWindowAckSize{Value: ackWindow},
		&message.SetPeerBandwidth{Value: ackWindow, Type: 2},
		&message.SetChunkSize{Value: chunkSize},
		&message.CommandAMF0{ChunkStreamID: cmd.ChunkStreamID, Name: name, CommandID: cmd.CommandID, Arguments: []any{
			amf0.Object{{Key: "fmsVer", Value: "FMS/3,0,1,123"}, {Key: "capabilities", Value: float64(31)}},
			amf0.Object{{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: text}, {Key: "objectEncoding", Value: float64(0)}},
		}},
	} {
		if err := e.rw.Write(m); err != nil {
			return err
		}
	}
	if wrong {
		return fmt.Errorf("greeting: the application is not %s", App)
	}
	return nil
}

// accept grants the wish to publish.
func (e *encoder) accept() error {
	e.conn.trusted = true
	return e.status("status", "NetStream.Publish.Start", "publishing")
}

// refuse ends it, before or after it was granted, and says why.
func (e *encoder) refuse(why string) {
	_ = e.conn.SetWriteDeadline(time.Now().Add(byeLimit))
	_ = e.status("error", "NetStream.Publish.Rejected", why)
}

// unfit says that an encoder sends what cannot be taken: somebody has to change its settings.
func unfit(err error) bool {
	return errors.Is(err, errNoH264) || errors.Is(err, errReorder) || errors.Is(err, errMissing)
}

func (e *encoder) status(level, code, text string) error {
	return e.rw.Write(&message.CommandAMF0{ChunkStreamID: 5, MessageStreamID: messageStream, Name: "onStatus", CommandID: e.publish.CommandID,
		Arguments: []any{nil, amf0.Object{{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: text}}}})
}

// picture is an H.264 access unit of an encoder.
type picture struct {
	key bool
	at  time.Duration
	au  []byte // Annex B, key pictures with their parameter sets
}

// next reads up to the next picture, and tells of sounds. The error is io.EOF when the encoder has ended its stream.
func (e *encoder) next(sound func()) (picture, error) {
	for {
		_ = e.conn.SetDeadline(time.Now().Add(idleLimit))
		m, err := e.rw.Read()
		if err != nil {
			return picture{}, err
		}
		switch m := m.(type) {
		case *message.Video:
			p, ok, err := e.take(m)
			if err != nil || ok {
				return p, err
			}
		case *message.VideoExSequenceStart, *message.VideoExCodedFrames, *message.VideoExFramesX, *message.VideoExMultitrack:
			return picture{}, errNoH264
		case *message.Audio, *message.AudioExCodedFrames:
			sound()
		case *message.CommandAMF0:
			switch m.Name {
			case "FCUnpublish", "closeStream", "deleteStream":
				return picture{}, io.EOF
			}
		}
	}
}

// take reads a message with video. ok says that it has a picture.
func (e *encoder) take(m *message.Video) (p picture, ok bool, err error) {
	switch {
	case m.Codec != message.CodecH264:
		return p, false, errNoH264
	case m.Type == message.VideoTypeConfig:
		c := m.AVCConfig
		if len(c.SequenceParameterSets) == 0 || len(c.PictureParameterSets) == 0 || c.LengthSizeMinusOne != 3 {
			return p, false, errMissing
		}
		e.sps, e.pps = c.SequenceParameterSets[0].NALUnit, c.PictureParameterSets[0].NALUnit
		return p, false, nil
	case m.Type != message.VideoTypeAU || len(m.AU) == 0:
		return p, false, nil
	case e.sps == nil:
		return p, false, errMissing
	case m.PTSDelta != 0: // the first picture waits already, for those that are decoded after it and shown before
		return p, false, errReorder
	}
	var nalus h264.AVCC
	if err := nalus.Unmarshal(m.AU); err != nil {
		return p, false, fmt.Errorf("picture: %w", err)
	}
	units := make(h264.AnnexB, 0, len(nalus)+2)
	if m.IsKeyFrame {
		units = append(units, e.sps, e.pps)
	}
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS, h264.NALUTypePPS:
			if m.IsKeyFrame { // in the band too: these are newer
				units = append(units, n)
			}
		case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeSEI:
		default:
			units = append(units, n)
		}
	}
	au, err := units.Marshal()
	if err != nil {
		return p, false, fmt.Errorf("picture: %w", err)
	}
	return picture{m.IsKeyFrame, m.DTS, au}, true, nil
}
