package rtmp

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"amphi/server/ingest"
)

// maxGreeting is how many messages an encoder may send before it publishes.
const maxGreeting = 64

// encoder is the connection of one that publishes here. One goroutine reads and writes; others may close it.
type encoder struct {
	conn    *frugalConn
	rw      *message.ReadWriter
	publish *message.CommandAMF0
	key     string // as given, with a query

	pictures ingest.H264
	config   []byte       // AudioSpecificConfig; nil: no sound that can be passed on has come
	heard    atomic.Int64 // Unix nanoseconds of the last message
}

// Errors of encoders.
var (
	errEnded    = errors.New("the encoder has ended its stream")
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
	e.heard.Store(time.Now().UnixNano())
	return e.status("status", "NetStream.Publish.Start", "publishing")
}

// refuse ends it, before or after it was granted, and says why.
func (e *encoder) refuse(why string) {
	_ = e.conn.SetWriteDeadline(time.Now().Add(byeLimit))
	_ = e.status("error", "NetStream.Publish.Rejected", why)
}

func (e *encoder) status(level, code, text string) error {
	return e.rw.Write(&message.CommandAMF0{ChunkStreamID: 5, MessageStreamID: messageStream, Name: "onStatus", CommandID: e.publish.CommandID,
		Arguments: []any{nil, amf0.Object{{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: text}}}})
}

// medium is a picture or a sound of an encoder.
type medium struct {
	at      time.Duration // presentation time
	picture []byte        // H.264 in Annex B form; nil: a sound
	key     bool
	config  []byte // AudioSpecificConfig of a sound; nil: it is Opus
	sound   []byte
}

// next reads up to the next picture or sound. The error is errEnded when the encoder says that its stream is over.
func (e *encoder) next() (medium, error) {
	for {
		_ = e.conn.SetDeadline(time.Now().Add(idleLimit))
		m, err := e.rw.Read()
		if err != nil {
			return medium{}, err
		}
		e.heard.Store(time.Now().UnixNano())
		switch m := m.(type) {
		case *message.Video:
			p, err := e.take(m)
			if err != nil || p.picture != nil {
				return p, err
			}
		case *message.VideoExSequenceStart, *message.VideoExCodedFrames, *message.VideoExFramesX, *message.VideoExMultitrack:
			return medium{}, ingest.ErrNoH264
		case *message.Audio:
			switch {
			case m.Codec != message.CodecMPEG4Audio:
			case m.AACType == message.AudioAACTypeConfig:
				e.describe(m.AACConfig)
			case e.config != nil && len(m.AU) > 0:
				return medium{at: m.DTS, config: e.config, sound: m.AU}, nil
			}
		case *message.AudioExSequenceStart:
			e.describe(m.AACConfig)
		case *message.AudioExCodedFrames:
			switch {
			case len(m.Payload) == 0:
			case m.FourCC == message.FourCCOpus:
				return medium{at: m.DTS, sound: m.Payload}, nil
			case m.FourCC == message.FourCCMP4A && e.config != nil:
				return medium{at: m.DTS, config: e.config, sound: m.Payload}, nil
			}
		case *message.CommandAMF0:
			switch m.Name {
			case "FCUnpublish", "closeStream", "deleteStream":
				return medium{}, errEnded
			}
		}
	}
}

// describe takes the description of AAC that follows; nil: there is none.
func (e *encoder) describe(c *mpeg4audio.AudioSpecificConfig) {
	if c == nil {
		return
	}
	if config, err := c.Marshal(); err == nil {
		e.config = config
	}
}

// take reads a message with video. The medium is empty if there is no picture in it.
func (e *encoder) take(m *message.Video) (medium, error) {
	switch {
	case m.Codec != message.CodecH264:
		return medium{}, ingest.ErrNoH264
	case m.Type == message.VideoTypeConfig:
		c := m.AVCConfig
		if len(c.SequenceParameterSets) == 0 || len(c.PictureParameterSets) == 0 || c.LengthSizeMinusOne != 3 {
			return medium{}, ingest.ErrParameters
		}
		e.pictures.Parameters(c.SequenceParameterSets[0].NALUnit, c.PictureParameterSets[0].NALUnit)
		return medium{}, nil
	case m.Type != message.VideoTypeAU || len(m.AU) == 0:
		return medium{}, nil
	case m.PTSDelta != 0: // the first picture waits already, for those that are decoded after it and shown before
		return medium{}, ingest.ErrReordered
	}
	var nalus h264.AVCC
	if err := nalus.Unmarshal(m.AU); err != nil {
		return medium{}, fmt.Errorf("picture: %w", err)
	}
	au, key, err := e.pictures.Picture(nalus)
	return medium{at: m.DTS, picture: au, key: key}, err
}

// silent is how long the encoder has sent nothing.
func (e *encoder) silent() time.Duration {
	return time.Duration(time.Now().UnixNano() - e.heard.Load())
}
