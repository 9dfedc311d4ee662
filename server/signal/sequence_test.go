package signal

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

// What is tested here: whatever clients send in whatever order, no room panics,
// and what every client has been told adds up to what is.

// view is what a client knows by its notifications: the client's own way to read
// them, in short (§3.7).
type view struct {
	self    string
	mu      sync.Mutex
	first   string // method of the first frame
	role    string // of the last policy
	peers   map[string]protocol.Peer
	removed bool     // was told to leave
	wrong   []string // what no server may send
}

func newView(self string) *view { return &view{self: self, peers: map[string]protocol.Peer{}} }

// Close implements room.Sink.
func (v *view) Close(string) {}

// Send implements room.Sink.
func (v *view) Send(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, err := protocol.ParseFrame(frame)
	if err != nil || f.ID != "" {
		v.wrong = append(v.wrong, "a notification that is none: "+string(frame))
		return
	}
	if v.first == "" {
		v.first = f.Method
	}
	var p protocol.Peer
	var e protocol.TrackEvent
	read := func(into any) {
		if err := json.Unmarshal(f.Params, into); err != nil {
			v.wrong = append(v.wrong, f.Method+": "+err.Error())
		}
	}
	switch f.Method {
	case protocol.OnPolicyChange:
		var policy protocol.PolicyChange[json.RawMessage]
		read(&policy)
		if v.role = policy.Name; policy.KnownRoles[v.role] == nil {
			v.wrong = append(v.wrong, "a role that is not known: "+v.role)
		}
	case protocol.OnPeerList:
		var list protocol.PeerList
		read(&list)
		v.peers = list.Peers
	case protocol.OnPeerJoin:
		read(&p)
		if _, known := v.peers[p.PeerID]; known {
			v.wrong = append(v.wrong, p.PeerID+" joined twice")
		}
		v.peers[p.PeerID] = p
	case protocol.OnPeerLeave:
		read(&p)
		if _, known := v.peers[p.PeerID]; !known {
			v.wrong = append(v.wrong, p.PeerID+" left and was not there")
		}
		delete(v.peers, p.PeerID)
	case protocol.OnPeerUpdate:
		read(&p)
		if p.PeerID == v.self { // its role must be that of the policy already (trap 11)
			if p.Role != v.role {
				v.wrong = append(v.wrong, "is told of the role "+p.Role+" before the policy")
			}
			return
		}
		p.Tracks = v.peers[p.PeerID].Tracks
		v.peers[p.PeerID] = p
	case protocol.OnTrackAdd, protocol.OnTrackUpdate, protocol.OnTrackRemove:
		read(&e)
		p = v.peers[e.Peer.PeerID]
		tracks := maps.Clone(p.Tracks)
		if tracks == nil {
			tracks = map[string]protocol.Track{}
		}
		for id, t := range e.Tracks {
			if _, known := tracks[id]; known == (f.Method == protocol.OnTrackAdd) {
				v.wrong = append(v.wrong, f.Method+" of "+id+" out of order")
			}
			if tracks[id] = t; f.Method == protocol.OnTrackRemove {
				delete(tracks, id)
			}
		}
		p.Tracks = tracks
		v.peers[e.Peer.PeerID] = p
	case protocol.OnPeerLeaveRequest:
		v.removed = true
	}
}

// crowd is a room with peers that do what chance has them do.
type crowd struct {
	t     testing.TB
	rooms *room.Registry
	pick  func(n int) int // from 0 to n-1
	ids   []string        // of those who are in, or come next
	born  int
	peers map[string]*room.Peer
	views map[string]*view
	lost  map[string]bool // has no socket at the moment
	in    map[string]bool // has joined, as far as it knows
	log   []string
}

var texts = []string{"", "Ann", "<b onclick=x>&amp;", "👩‍👩‍👧", "\u202eevil\u202c", "a\x00b", strings.Repeat("日", 100), strings.Repeat("x", 20<<10), `{"k":1}`}

func (c *crowd) text() string { return texts[c.pick(len(texts))] }
func (c *crowd) id() string   { return append(c.ids, "stranger", "")[c.pick(len(c.ids)+2)] }
func (c *crowd) role() string {
	return []string{"broadcaster", "viewer-realtime", "hls-viewer", "king"}[c.pick(4)]
}

// messages make the params of each method.
var messages = map[string]func(c *crowd) any{
	protocol.MethodJoin:   func(c *crowd) any { return protocol.Join{Name: c.text(), Data: c.text()} },
	protocol.MethodOffer:  (*crowd).offer,
	protocol.MethodAnswer: func(*crowd) any { return protocol.Answer{Desc: protocol.Description{Type: "answer", SDP: "v=0"}} },
	protocol.MethodTrickle: func(c *crowd) any {
		return protocol.Trickle{Target: c.pick(3), Candidate: protocol.Candidate{Candidate: c.text()}}
	},
	protocol.MethodTrackUpdate: func(c *crowd) any { return protocol.TrackUpdate{Tracks: c.tracks()} },
	protocol.MethodBroadcast: func(c *crowd) any {
		b := protocol.Broadcast{Info: protocol.Message{Message: c.text(), Type: []string{"", "chat", "EMOJI_REACTION"}[c.pick(3)]}}
		if c.pick(3) == 0 {
			b.PeerID = c.id()
		} else if c.pick(2) == 0 {
			b.Roles = []string{c.role()}
		}
		return b
	},
	protocol.MethodPeerUpdate: func(c *crowd) any {
		name, data := c.text(), c.text()
		return []any{protocol.PeerUpdate{Name: &name}, protocol.PeerUpdate{Data: &data}, protocol.PeerUpdate{}}[c.pick(3)]
	},
	protocol.MethodGetPeer:     func(c *crowd) any { return protocol.GetPeer{PeerID: c.id()} },
	protocol.MethodFindPeers:   func(c *crowd) any { return protocol.FindPeers{Limit: c.pick(4) - 1, Role: c.role()} },
	protocol.MethodNextPeers:   func(c *crowd) any { return protocol.NextPeers{Iterator: []string{"", "1", "9"}[c.pick(3)]} },
	protocol.MethodSearchNames: func(c *crowd) any { return protocol.SearchNames{Query: c.text(), Offset: c.pick(4) - 1} },
	protocol.MethodGroupJoin:   func(c *crowd) any { return protocol.GroupChange{Name: protocol.HandRaiseGroup} },
	protocol.MethodGroupLeave: func(c *crowd) any {
		return protocol.GroupChange{Name: []string{protocol.HandRaiseGroup, c.text()}[c.pick(2)]}
	},
	protocol.MethodGroupAdd:    func(c *crowd) any { return protocol.GroupChange{Name: protocol.HandRaiseGroup, PeerID: c.id()} },
	protocol.MethodGroupRemove: func(c *crowd) any { return protocol.GroupChange{Name: protocol.HandRaiseGroup, PeerID: c.id()} },
	protocol.MethodRoleChangeRequest: func(c *crowd) any {
		if c.pick(6) == 0 {
			return protocol.RoleChangeRequest{Roles: []string{c.role(), c.role()}, Role: c.role(), Force: true}
		}
		return protocol.RoleChangeRequest{RequestedFor: c.id(), Role: c.role(), Force: c.pick(2) == 0}
	},
	protocol.MethodRoleChange:       func(c *crowd) any { return protocol.RoleChange{Role: c.role(), Token: c.text()} },
	protocol.MethodPeerLeaveRequest: func(c *crowd) any { return protocol.PeerLeaveRequest{RequestedFor: c.id(), Reason: c.text()} },
	protocol.MethodEndRoom:          func(c *crowd) any { return protocol.EndRoom{Reason: c.text()} },
	protocol.MethodTrackUpdateRequest: func(c *crowd) any {
		return protocol.TrackUpdateRequest{RequestedFor: c.id(), TrackID: "mic", Mute: true}
	},
	protocol.MethodChangeTrackMute: func(c *crowd) any { return protocol.ChangeTrackMute{Value: c.pick(2) == 0} },
	protocol.MethodSetMetadata:     func(c *crowd) any { return map[string]any{"key": c.text(), "data": []any{c.text(), nil}[c.pick(2)]} },
	protocol.MethodGetMetadata:     func(c *crowd) any { return protocol.GetMetadata{Key: c.text()} },
	protocol.MethodListenMetadata:  func(c *crowd) any { return protocol.ListenMetadata{Keys: []string{c.text(), c.text()}} },
	protocol.MethodPollSet: func(c *crowd) any {
		return protocol.PollInfo{PollID: c.poll(), Title: c.text(), Type: []string{"", "quiz", "vote"}[c.pick(3)], Duration: c.pick(3) - 1, Anonymous: c.pick(2) == 0}
	},
	protocol.MethodPollQuestionsSet: func(c *crowd) any {
		q := protocol.PollQuestion{Question: protocol.PollQuestionText{Index: 1 + c.pick(2), Type: []string{"single-choice", "short-answer"}[c.pick(2)], Text: c.text(), Once: c.pick(2) == 0}}
		if q.Question.Type == "single-choice" {
			q.Options = []protocol.PollOption{{Index: 1, Text: "a"}, {Index: 2, Text: c.text()}}
			q.Answer.Option = c.pick(4)
		}
		return protocol.PollQuestions{PollID: c.poll(), Questions: []protocol.PollQuestion{q}}
	},
	protocol.MethodPollGet: func(c *crowd) any { return protocol.PollRef{PollID: c.poll()} },
	protocol.MethodPollQuestionsGet: func(c *crowd) any {
		return protocol.PollRange{PollID: c.poll(), Index: c.pick(3) - 1, Count: c.pick(3)}
	},
	protocol.MethodPollStart: func(c *crowd) any { return protocol.PollRef{PollID: c.poll()} },
	protocol.MethodPollStop:  func(c *crowd) any { return protocol.PollRef{PollID: c.poll()} },
	protocol.MethodPollVote: func(c *crowd) any {
		return protocol.PollVotes{PollID: c.poll(), Responses: []protocol.PollVote{{Question: c.pick(3), Option: c.pick(4) - 1, Text: c.text(), Skipped: c.pick(4) == 0}}}
	},
	protocol.MethodPollResponses:   func(c *crowd) any { return protocol.PollRange{PollID: c.poll(), Self: c.pick(2) == 0} },
	protocol.MethodPollResult:      func(c *crowd) any { return protocol.PollRef{PollID: c.poll()} },
	protocol.MethodPollList:        func(c *crowd) any { return protocol.ListPolls{Count: c.pick(3), Start: c.poll()} },
	protocol.MethodPollLeaderboard: func(c *crowd) any { return protocol.GetLeaderboard{PollID: c.poll(), Offset: c.pick(3) - 1} },
}

func (c *crowd) poll() string { return []string{"p1", "p2", "p3", ""}[c.pick(4)] }

// publishOffer is what a browser would offer that publishes both.
var publishOffer = sync.OnceValue(func() string {
	return strings.ReplaceAll(`v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=ice-ufrag:abcdefgh
a=ice-pwd:abcdefghabcdefghabcdefgh
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=msid:s mic
a=sendonly
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:1
a=ice-ufrag:abcdefgh
a=ice-pwd:abcdefghabcdefghabcdefgh
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=msid:s cam
a=sendonly
`, "\n", "\r\n")
})

func (c *crowd) tracks() map[string]protocol.Track {
	all := map[string]protocol.Track{
		"mic": {TrackID: "mic", StreamID: "s", Kind: protocol.Audio, Source: protocol.SourceRegular, Mute: c.pick(2) == 0},
		"cam": {TrackID: "cam", StreamID: "s", Kind: protocol.Video, Source: protocol.SourceRegular, Mute: c.pick(2) == 0},
	}
	for _, id := range []string{"mic", "cam"} {
		if c.pick(3) == 0 {
			delete(all, id)
		}
	}
	return all
}

func (c *crowd) offer() any {
	sdp := publishOffer()
	if c.pick(8) == 0 {
		sdp = c.text()
	}
	return protocol.Offer{Desc: protocol.Description{Type: "offer", SDP: sdp}, Tracks: c.tracks(), SFUNodeID: []string{"", "node-1", "node-1", "node-0"}[c.pick(4)]}
}

var methods = slices.Sorted(maps.Keys(messages))

// step is one thing that happens.
func (c *crowd) step() {
	id := c.ids[c.pick(len(c.ids))]
	p := c.peers[id]
	switch what := c.pick(20); {
	case p == nil || c.lost[id] || what == 0:
		c.connect(id)
		return
	case what == 1:
		c.say("%s: socket lost", id)
		p.Disconnected(c.views[id], c.pick(2) == 0)
		c.lost[id] = true
		return
	case what == 2:
		c.say("%s: leave", id)
		_ = p.Leave(c.t.Context())
		c.forget(id)
		return
	case what == 3:
		c.quiz(id)
		return
	}
	method := methods[c.pick(len(methods))]
	if !c.in[id] && c.pick(3) > 0 {
		method = protocol.MethodJoin
	}
	c.send(id, method, messages[method](c))
}

// quiz makes and starts a poll as it should be: chance does not come so far.
func (c *crowd) quiz(id string) {
	poll := c.poll()
	c.send(id, protocol.MethodPollSet, protocol.PollInfo{PollID: poll, Type: "quiz", Anonymous: c.pick(2) == 0})
	c.send(id, protocol.MethodPollQuestionsSet, protocol.PollQuestions{PollID: poll, Questions: []protocol.PollQuestion{{
		Question: protocol.PollQuestionText{Index: 1, Type: "single-choice", Text: "?", Once: c.pick(2) == 0},
		Options:  []protocol.PollOption{{Index: 1, Text: "a"}, {Index: 2, Text: "b"}}, Answer: protocol.PollAnswer{Option: 2},
	}}})
	c.send(id, protocol.MethodPollStart, protocol.PollRef{PollID: poll})
}

func (c *crowd) send(id, method string, message any) {
	p := c.peers[id]
	if p == nil {
		return
	}
	params, err := json.Marshal(message)
	if err != nil {
		c.t.Fatal(err)
	}
	p.Heard(p.Told())
	result, err := dispatch(c.t.Context(), p, protocol.Frame{ID: "1", Method: method, Params: params})
	c.say("%s: %s %.200s: %v", id, method, params, err)
	if err != nil {
		switch room.AsProtocol(err).Code {
		case protocol.CodeInternal:
			c.t.Fatalf("%v\n%s", err, strings.Join(c.log, "\n"))
		case protocol.CodeGone: // its socket is closed by now
			c.forget(id)
		}
	} else if method == protocol.MethodJoin {
		c.in[id] = true
	}
	if err == nil && string(protocol.Result("1", result)) == `{"id":"1","jsonrpc":"2.0","result":null}` {
		c.t.Fatalf("%s has a result that clients break on", method)
	}
}

// forget ends a peer; who comes in its place has a new id, as clients make one.
func (c *crowd) forget(id string) {
	delete(c.peers, id)
	delete(c.in, id)
	delete(c.lost, id)
	c.born++
	c.ids[slices.Index(c.ids, id)] = fmt.Sprintf("%s.%d", strings.Split(id, ".")[0], c.born)
}

func (c *crowd) connect(id string) {
	r, err := c.rooms.Open(c.t.Context(), "r1")
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Release()
	v := newView(id)
	if old := c.views[id]; old != nil && c.peers[id] != nil {
		v.peers = old.peers // a client that comes back keeps what it knows
	}
	p, err := r.Connect(c.t.Context(), room.Identity{PeerID: id, UserID: "u-" + id, Role: strings.Split(id, ".")[0], TokenHash: sha256.Sum256([]byte(id))}, v)
	c.say("%s: connects: %v", id, err)
	if err != nil { // it was removed
		c.forget(id)
		return
	}
	if p != c.peers[id] {
		delete(c.in, id) // it had not joined
	}
	c.peers[id], c.views[id] = p, v
	delete(c.lost, id)
}

func (c *crowd) say(format string, args ...any) { c.log = append(c.log, fmt.Sprintf(format, args...)) }

// check compares what everybody was told with what is.
func (c *crowd) check() {
	c.t.Helper()
	r := c.rooms.Lookup("r1")
	if r == nil {
		return
	}
	there, err := r.Attendees(c.t.Context())
	if err != nil {
		return // it has just ended
	}
	truth := map[string]string{}
	for _, a := range there {
		var tracks []string
		for _, t := range a.Tracks {
			tracks = append(tracks, fmt.Sprint(t.TrackID, t.Mute))
		}
		slices.Sort(tracks)
		truth[a.PeerID] = fmt.Sprint(a.Role, a.Name, a.Data, tracks)
	}
	for id := range truth {
		if c.lost[id] {
			continue // it is told when it comes back
		}
		v := c.views[id]
		v.mu.Lock()
		wrong := v.wrong
		if v.first != protocol.OnPolicyChange {
			wrong = append(wrong, "the first frame was "+v.first)
		}
		for other, is := range truth {
			if other == id {
				continue
			}
			p, known := v.peers[other]
			if !known {
				wrong = append(wrong, "does not know "+other)
				continue
			}
			var tracks []string
			for _, t := range p.Tracks {
				tracks = append(tracks, fmt.Sprint(t.TrackID, t.Mute))
			}
			slices.Sort(tracks)
			if was := fmt.Sprint(p.Role, p.Info.Name, p.Info.Data, tracks); was != is {
				wrong = append(wrong, fmt.Sprintf("%s is %q and is seen as %q", other, is, was))
			}
		}
		for other := range v.peers {
			if _, is := truth[other]; !is && other != id {
				wrong = append(wrong, "still sees "+other)
			}
		}
		v.mu.Unlock()
		if len(wrong) > 0 {
			c.t.Fatalf("%s: %s\nafter:\n%s", id, strings.Join(wrong, "\n"), strings.Join(c.log, "\n"))
		}
	}
}

// runCrowd has a crowd of five do so many things in a room of its own.
func runCrowd(t testing.TB, media *sfu.SFU, steps int, pick func(int) int) {
	rooms := room.NewRegistry(room.Config{
		SFU: media, Records: records{}, Streamer: func() room.Streamer { return nil },
		NewID: func() string { return "s1" }, NodeID: "node-1", Log: slog.New(slog.DiscardHandler), ChatHistory: 10,
		// Nobody is given up while it lasts: that comes by the clock, not by a message.
		Limits: room.Limits{MessagesPerSecond: 1e6, MessageBurst: 1 << 20, HideAfter: time.Hour, ForgetAfter: time.Hour, ForgetClosedTab: time.Hour},
	})
	defer rooms.Close()
	c := &crowd{t: t, rooms: rooms, pick: pick, peers: map[string]*room.Peer{}, views: map[string]*view{}, lost: map[string]bool{}, in: map[string]bool{},
		ids: []string{"broadcaster.1", "broadcaster.2", "viewer-realtime.1", "hls-viewer.1", "hls-viewer.2"}}
	for range steps {
		c.step()
		c.check()
	}
}

func testMedia(t testing.TB) *sfu.SFU {
	media, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := media.Close(); err != nil {
			t.Error(err)
		}
	})
	return media
}

func TestAnySequence(t *testing.T) {
	media := testMedia(t)
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 4))
		runCrowd(t, media, 300, random.IntN)
	}
}

func FuzzSequence(f *testing.F) {
	f.Add([]byte("any sequence of messages"))
	media := testMedia(f)
	f.Fuzz(func(t *testing.T, choices []byte) {
		runCrowd(t, media, min(len(choices)/3, 200), func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			choice := int(choices[0])
			choices = choices[1:]
			return choice % n
		})
	})
}

// Every method of the dispatcher takes part, but those that need other parts.
func TestSequenceHasAllMethods(t *testing.T) {
	others := []string{
		protocol.MethodPing, protocol.MethodAnalytics, protocol.MethodHLSStart, protocol.MethodHLSStop, protocol.MethodHLSMetadata, protocol.MethodRTMPStart,
		protocol.MethodRTMPStop, protocol.MethodWhiteboardCreate, protocol.MethodWhiteboardGet, protocol.MethodTranscriptionStart,
		protocol.MethodTranscriptionStop, protocol.MethodTranscriptionSet,
	}
	for method := range handlers {
		if messages[method] == nil && !slices.Contains(others, method) {
			t.Errorf("%s takes no part", method)
		}
	}
	if policy.StarterKit().Roles["broadcaster"] == nil {
		t.Error("the crowd's roles are not those of the kit")
	}
}
