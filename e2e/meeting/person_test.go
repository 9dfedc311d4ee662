package meeting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"amphi/server/protocol"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// Roles of the Starter Kit.
const (
	stage   = "broadcaster"
	floor   = "viewer-realtime"
	gallery = "hls-viewer"
)

// mostOnStage keeps the machine out of the measurement: everybody on stage is sent to everybody.
const mostOnStage = 5

// person is somebody in the meeting.
type person struct {
	meeting *meeting
	name    string
	role    string // of the token
	random  *rand.Rand
	client  *client.Client
	actions []action // what it does

	mu     sync.Mutex
	did    []string // what was done last, and what came of it
	failed error
	heard  map[string]*rtc.RemoteTrack // media that comes, by track id
}

func (m *meeting) newPerson(number int, role string) *person {
	p := &person{
		meeting: m, name: fmt.Sprintf("p%02d", number), role: role, heard: map[string]*rtc.RemoteTrack{},
		random: rand.New(rand.NewPCG(m.seed, uint64(number))),
	}
	p.client = client.New(client.Config{
		Engine:  &rtc.Engine{Loopback: true, Settings: func(e *webrtc.SettingEngine) { e.SetIPFilter(isLoopback) }},
		Capture: &rtc.Capture{Audio: rtc.Silence, Video: newCamera, Shared: newCamera},
		Sink:    client.Sink{Patch: func(client.Patch) {}, Notification: p.notified},
		OnMedia: p.media,
		Log:     m.log(number),
	})
	return p
}

// media takes over media: somebody has to read it.
func (p *person) media(e client.MediaEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Remote == nil {
		delete(p.heard, e.TrackID)
		return
	}
	p.heard[e.TrackID] = e.Remote
	e.Remote.Discard()
}

func (p *person) notified(n client.Notification) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n.Type {
	case client.NotifyRoomEnded, client.NotifyRemovedFromRoom, client.NotifyReconnecting, client.NotifyReconnected, client.NotifyRoleUpdated,
		client.NotifyChangeTrackState, client.NotifyChangeTrackStates:
		p.noteLocked(string(n.Type), nil)
	case client.NotifyError:
		if e, ok := n.Data.(*client.Error); ok && (e.Code >= 500 && e.Code < 600 || e.Code == protocol.CodeBadRequest) {
			p.failed = fmt.Errorf("%s was told %w", p.name, e)
		}
	}
}

// join enters the room, as often as it takes.
func (p *person) join(ctx context.Context) error {
	return p.client.Join(ctx, client.JoinConfig{
		AuthToken: p.meeting.server.Keys().AuthToken(p.meeting.room, p.role, p.name), UserName: p.name,
		InitEndpoint: p.meeting.server.URL, AutoVideoSubscribe: p.random.IntN(2) == 0,
	})
}

// live does one thing after the other until ctx ends. While the meeting holds still, so does everybody.
func (p *person) live(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return p.wrong()
		case <-time.After(p.meeting.pause(p.random)):
		}
		p.meeting.still.RLock()
		var err error
		if ctx.Err() == nil {
			err = p.act(ctx)
		}
		p.meeting.still.RUnlock()
		if err = errors.Join(p.tolerable(ctx, err), p.wrong()); err != nil {
			return err
		}
	}
}

func (p *person) wrong() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// tolerable lets refusals pass: others change roles, leave and vote meanwhile. What is never right is an error of the
// server, or one of us being misunderstood.
func (p *person) tolerable(ctx context.Context, err error) error {
	var e *client.Error
	var refused *protocol.Error // what was begun before, such as a share, and has to be undone
	code := 0
	switch {
	case errors.As(err, &e):
		code = e.Code
	case errors.As(err, &refused):
		code = refused.Code
	}
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case code != 0 && code != protocol.CodeBadRequest && (code < 500 || code > 599):
		p.meeting.count(fmt.Sprintf("refused %d", code))
		return nil
	default:
		return fmt.Errorf("%s: %w", p.name, err)
	}
}

// act does one thing.
func (p *person) act(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second) // more than the client tries to come back
	defer cancel()
	s := p.client.State()
	a := action{"join", func(ctx context.Context, p *person, _ client.State) error { return p.join(ctx) }}
	if s.Room.RoomState != client.Disconnected && s.Room.RoomState != client.Failed {
		a = p.actions[p.random.IntN(len(p.actions))]
	}
	p.meeting.count(a.name)
	begun := time.Now()
	watch := time.AfterFunc(settle/4, func() { p.meeting.stacks(p.name + " " + a.name) })
	err := a.do(ctx, p, s)
	watch.Stop()
	if took := time.Since(begun); took > settle/4 {
		p.meeting.t.Logf("%s took %s to %s: %v", p.name, took.Round(time.Second), a.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked(a.name, err)
	return err
}

// noteLocked keeps in mind what happened, for whoever looks for a reason.
func (p *person) noteLocked(what string, err error) {
	const most = 40
	if len(p.did) == most {
		p.did = p.did[1:]
	}
	p.did = append(p.did, fmt.Sprint(time.Now().Format("05.0 "), what, " ", err))
}

// other picks somebody else of those that p sees; nobody when there is nobody.
func (p *person) other(s client.State) client.Peer {
	var ids []string
	for id, o := range s.Peers {
		if !o.IsLocal {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return client.Peer{ID: "nobody"}
	}
	slices.Sort(ids) // the seed decides, not the map
	return s.Peers[ids[p.random.IntN(len(ids))]]
}

func (p *person) chance(n int) bool { return p.random.IntN(n) == 0 }

func onStage(s client.State) (n int) {
	for _, o := range s.Peers {
		if o.RoleName == stage {
			n++
		}
	}
	return n
}

var texts = []string{"hello", "👩‍👩‍👧 ✨", "<b>bold</b> & co", "\u202eright to left\u202c", strings.Repeat("long ", 500), `{"k":[1,2]}`}

func (p *person) text() string { return texts[p.random.IntN(len(texts))] }

type action struct {
	name string
	do   func(ctx context.Context, p *person, s client.State) error
}

var actions = []action{
	{"chat", func(ctx context.Context, p *person, s client.State) error {
		kind, roles, to := "chat", []string(nil), ""
		switch p.random.IntN(4) {
		case 0:
			roles = []string{[]string{stage, floor, gallery}[p.random.IntN(3)]}
		case 1:
			to = p.other(s).ID
		case 2:
			kind = "EMOJI_REACTION"
		}
		_, err := p.client.Send(ctx, p.text(), kind, roles, to)
		return err
	}},
	{"name", func(ctx context.Context, p *person, _ client.State) error {
		return p.client.ChangeName(ctx, fmt.Sprint(p.name, " ", p.random.IntN(100)))
	}},
	{"metadata", func(ctx context.Context, p *person, _ client.State) error {
		return p.client.ChangeMetadata(ctx, p.text())
	}},
	{"hand", func(ctx context.Context, p *person, s client.State) error {
		id := s.Room.LocalPeer
		if p.chance(4) {
			id = p.other(s).ID
		}
		return p.client.SetHand(ctx, id, p.chance(2))
	}},
	{"microphone", func(ctx context.Context, p *person, _ client.State) error {
		return p.client.SetLocalEnabled(ctx, rtc.Audio, p.chance(2))
	}},
	{"camera", func(ctx context.Context, p *person, _ client.State) error {
		return p.client.SetLocalEnabled(ctx, rtc.Video, p.chance(2))
	}},
	{"screen", func(ctx context.Context, p *person, s client.State) error {
		if s.Peers[s.Room.LocalPeer].RoleName != stage {
			return nil
		}
		if p.chance(2) {
			return p.client.StartScreenShare(ctx, client.ScreenShare{})
		}
		return p.client.StopScreenShare(ctx)
	}},
	{"layer", func(_ context.Context, p *person, s client.State) error {
		for id, t := range s.Tracks {
			if o, known := s.Peers[t.PeerID]; known && !o.IsLocal && t.Type == rtc.Video {
				return p.client.SetPreferredLayer(id, []string{"none", "low", "high"}[p.random.IntN(3)])
			}
		}
		return nil
	}},
	{"change role", func(ctx context.Context, p *person, s client.State) error {
		role := []string{stage, floor, gallery}[p.random.IntN(3)]
		if role == stage && onStage(s) >= mostOnStage {
			role = gallery
		}
		o := p.other(s)
		if o.RoleName == stage && onStage(s) <= 2 { // somebody has to be there who may do things
			return nil
		}
		return p.client.ChangeRole(ctx, o.ID, role, p.chance(2))
	}},
	{"answer role", func(ctx context.Context, p *person, s client.State) error {
		switch asked := s.RoleChangeRequests; {
		case len(asked) == 0:
			return nil
		case p.chance(3):
			p.client.RejectRole(asked[0].Token)
			return nil
		default:
			return p.client.AcceptRole(ctx, asked[0].Token)
		}
	}},
	{"mute other", func(ctx context.Context, p *person, s client.State) error {
		for id, t := range s.Tracks {
			if o, known := s.Peers[t.PeerID]; known && !o.IsLocal {
				return p.client.SetRemoteTrackEnabled(ctx, id, p.chance(3))
			}
		}
		return nil
	}},
	{"mute all", func(ctx context.Context, p *person, _ client.State) error {
		if !p.chance(4) {
			return nil
		}
		return p.client.SetRemoteTracksEnabled(ctx, false, []string{stage}, rtc.Audio, "")
	}},
	{"poll", func(ctx context.Context, p *person, s client.State) error {
		for id, poll := range s.Polls {
			switch {
			case poll.State == protocol.PollStarted && p.chance(6):
				return p.client.StopPoll(ctx, id)
			case poll.State == protocol.PollStarted:
				return p.client.Vote(ctx, id, []client.PollResponse{{QuestionIndex: 1, Option: 1 + p.random.IntN(2)}})
			case poll.State == protocol.PollStopped && p.chance(4):
				_, err := p.client.Leaderboard(ctx, id, 0, 10)
				return err
			}
		}
		if s.Peers[s.Room.LocalPeer].RoleName != stage {
			return nil
		}
		made, err := p.client.CreatePoll(ctx, client.Poll{Title: "?", Type: "quiz", Questions: []client.PollQuestion{{
			PollQuestionText: protocol.PollQuestionText{Index: 1, Type: "single-choice", Text: "which?"},
			Options:          []client.PollOption{{Index: 1, Text: "a"}, {Index: 2, Text: "b", IsCorrectAnswer: true}},
		}}})
		if err != nil {
			return err
		}
		return p.client.StartPoll(ctx, made.ID)
	}},
	{"polls", func(ctx context.Context, p *person, _ client.State) error {
		_, err := p.client.FetchPolls(ctx)
		return err
	}},
	{"session value", func(ctx context.Context, p *person, _ client.State) error {
		key := []string{"spotlight", "pinned"}[p.random.IntN(2)]
		if p.chance(2) {
			return p.client.ObserveSession(ctx, []string{key}, p.chance(3))
		}
		value, err := json.Marshal(p.text())
		if err != nil {
			return err
		}
		_, err = p.client.SetSessionValue(ctx, key, value)
		return err
	}},
	{"find", func(ctx context.Context, p *person, _ client.State) error {
		page, err := p.client.FindPeers(ctx, protocol.FindPeers{Limit: 5})
		if err == nil && !page.EOF {
			_, err = p.client.NextPeers(ctx, page.Iterator, 5)
		}
		return err
	}},
	{"search", func(ctx context.Context, p *person, _ client.State) error {
		_, err := p.client.SearchNames(ctx, protocol.SearchNames{Query: "p1", Limit: 3})
		return err
	}},
	{"remove", func(ctx context.Context, p *person, s client.State) error {
		if o := p.other(s); p.chance(4) && o.RoleName != stage {
			return p.client.RemovePeer(ctx, o.ID, "at random")
		}
		return nil
	}},
	{"leave", func(ctx context.Context, p *person, s client.State) error {
		if !p.chance(4) || s.Peers[s.Room.LocalPeer].RoleName == stage && onStage(s) <= 2 {
			return nil
		}
		return p.client.Leave(ctx)
	}},
	{"end room", func(ctx context.Context, p *person, _ client.State) error {
		if !p.chance(200) {
			return nil
		}
		return p.client.EndRoom(ctx, false, "at random")
	}},
	{"offline", func(ctx context.Context, p *person, _ client.State) error {
		if !p.chance(3) {
			return nil
		}
		p.client.SetOnline(false)
		select {
		case <-time.After(time.Duration(p.random.IntN(2000)) * time.Millisecond):
		case <-ctx.Done():
		}
		p.client.SetOnline(true)
		return nil
	}},
}

// camera makes small frames that look like VP8 to whoever does not decode them.
type camera struct{ n int }

func newCamera() (rtc.Source, error) { return new(camera), nil }

func (*camera) Codec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
}

func (c *camera) KeyFrame()  { c.n = 0 }
func (*camera) Close() error { return nil }

func (c *camera) Next() (media.Sample, error) {
	frame := make([]byte, 800)
	if frame[0] = 1; c.n%20 == 0 { // a key frame (RFC 6386, 9.1)
		copy(frame, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0})
	}
	c.n++
	return media.Sample{Data: frame, Duration: 100 * time.Millisecond}, nil
}
