package room

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"amphi/server/protocol"
)

// messages returns the texts of the chat that came, and forgets everything that came.
func (b *inbox) messages(t *testing.T) (texts []string) {
	t.Helper()
	for _, f := range b.take() {
		if f.Method != protocol.OnBroadcast {
			continue
		}
		var e protocol.BroadcastEvent
		if err := json.Unmarshal(f.Params, &e); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, e.Info.Message)
	}
	return texts
}

func wantMessages(t *testing.T, b *inbox, want ...string) {
	t.Helper()
	if got := b.messages(t); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func (p *Peer) say(t *testing.T, text string, change func(*protocol.Broadcast)) {
	t.Helper()
	b := protocol.Broadcast{Info: protocol.Message{Message: text}}
	if change != nil {
		change(&b)
	}
	if _, err := p.Broadcast(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestHistoryForWhoJoinsLate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessageBurst: 1000})
	h.cfg.ChatHistory = 3
	ann, _ := h.join("ann", "broadcaster")
	bob, _ := h.join("bob", "hls-viewer")
	var heard []string
	stop := h.Lookup("r1").Listen(func(m Saying) { heard = append(heard, m.From.Name+" "+m.Event.Info.Message) })
	ann.say(t, "too long ago", nil)
	ann.say(t, "to all", nil)
	ann.say(t, "to viewers", func(b *protocol.Broadcast) { b.Roles = []string{"hls-viewer"} })
	ann.say(t, "to bob", func(b *protocol.Broadcast) { b.PeerID = "bob" })
	ann.say(t, "heart", func(b *protocol.Broadcast) { b.Info.Type = "EMOJI_REACTION" })
	bob.say(t, "hello", nil)
	if err := h.Lookup("r1").Say(t.Context(), protocol.Message{Message: "from the server", Type: "chat"}, "", ""); err != nil {
		t.Fatal(err)
	}
	stop()
	ann.say(t, "to nobody who listens", func(b *protocol.Broadcast) { b.Info.Type = "other" })
	want := []string{"name of ann too long ago", "name of ann to all", "name of ann heart", "name of bob hello", " from the server"}
	if !slices.Equal(heard, want) {
		t.Errorf("listeners heard %q, want %q", heard, want)
	}

	history := func(id, role string) *inbox {
		p, b, err := h.connect(id, role)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Join(t.Context(), protocol.Join{Name: id}); err != nil {
			t.Fatal(err)
		}
		return b
	}
	cat := history("cat", "hls-viewer")
	wantMessages(t, cat, "to viewers", "hello", "from the server")
	wantMessages(t, history("dan", "broadcaster"), "to all", "hello", "from the server")
	bob.say(t, "once", nil)
	wantMessages(t, cat, "once")

	for i := range 2 * maxPast {
		ann.say(t, strconv.Itoa(i), nil)
	}
	wantMessages(t, history("eve", "hls-viewer"), "509", "510", "511")
	if n := len(h.Lookup("r1").past.events); n != maxPast {
		t.Errorf("%d are kept", n)
	}
}

// What the client is not known to have heard comes again on the new socket; what
// it has heard does not, as clients show a message twice.
func TestMissedMessages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	ann, _ := h.join("ann", "broadcaster")
	bob, bobIn := h.join("bob", "hls-viewer")
	ann.say(t, "heard", nil)
	bob.Heard(bob.Told())
	ann.say(t, "lost on a socket that was dead already", nil)
	bob.Disconnected(bobIn, false)
	ann.say(t, "lost", nil)
	ann.say(t, "not for bob", func(b *protocol.Broadcast) { b.Roles = []string{"viewer-realtime"} })
	ann.say(t, "private", func(b *protocol.Broadcast) { b.PeerID = "bob" })
	lunch(t, ann, protocol.PollInfo{PollID: "p1"})
	if _, err := ann.StartPoll(t.Context(), protocol.PollRef{PollID: "p1"}); err != nil {
		t.Fatal(err)
	}

	_, again, err := h.connect("bob", "hls-viewer")
	if err != nil {
		t.Fatal(err)
	}
	if got := again.methods(); !slices.Contains(got, protocol.OnPollStart) {
		t.Errorf("the poll was missed: %v", got)
	}
	if _, again, err = h.connect("bob", "hls-viewer"); err != nil {
		t.Fatal(err)
	}
	wantMessages(t, again, "lost on a socket that was dead already", "lost", "private")
	told := bob.Told()
	bob.Heard(told - 1) // it may come late, over a socket that was replaced
	bob.Heard(told)
	bob.Heard(told - 2)
	if _, again, err = h.connect("bob", "hls-viewer"); err != nil {
		t.Fatal(err)
	}
	wantMessages(t, again)
}

func TestObserverHearsTheChat(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	w := &witness{}
	h.cfg.Observer = w
	ann, _ := h.join("ann", "broadcaster")
	h.join("bob", "hls-viewer")
	ann.say(t, "hi", nil)
	ann.say(t, "viewers", func(b *protocol.Broadcast) { b.Roles = []string{"hls-viewer"} })
	ann.say(t, "to bob", func(b *protocol.Broadcast) { b.PeerID = "bob" })
	ann.say(t, "{}", func(b *protocol.Broadcast) { b.Info.Type = typeTranscript })
	ann.say(t, "heart", func(b *protocol.Broadcast) { b.Info.Type = "EMOJI_REACTION" })
	if err := h.Lookup("r1").Say(t.Context(), protocol.Message{Message: "server", Type: "chat"}, "", ""); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`"name of ann" says to []: chat "hi"`, `"name of ann" says to [hls-viewer]: chat "viewers"`,
		`"name of ann" says to []: EMOJI_REACTION "heart"`, `"" says to []: chat "server"`,
	}
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Polls of the room's record are there from the start, and what comes of them is
// recorded, in order.
func TestLinkedPolls(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	question := []protocol.PollQuestion{{
		Question: protocol.PollQuestionText{Index: 1, Type: "single-choice", Text: "?", Weight: 7},
		Options:  []protocol.PollOption{{Index: 1, Text: "A"}, {Index: 2, Text: "B"}}, Answer: protocol.PollAnswer{Option: 2},
	}}
	h.linked = []LinkedPoll{
		{Info: protocol.PollInfo{PollID: "auto", Type: "quiz"}, Questions: question, Auto: true},
		{Info: protocol.PollInfo{PollID: "manual", Anonymous: true}, Questions: question},
		{Info: protocol.PollInfo{PollID: "unfinished"}, Auto: true},
	}
	ann, annIn, err := h.connect("ann", "broadcaster")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Join(t.Context(), protocol.Join{Name: "Ann"}); err != nil {
		t.Fatal(err)
	}
	if e := one[protocol.PollsEvent](t, annIn, protocol.OnPollStart); len(e.Polls) != 1 || e.Polls[0].PollID != "auto" {
		t.Errorf("%+v", e)
	}
	if _, err := ann.StartPoll(t.Context(), protocol.PollRef{PollID: "manual"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"auto", "auto", "manual"} { // the second one was sent again
		if _, err := ann.Vote(t.Context(), protocol.PollVotes{PollID: id, Responses: []protocol.PollVote{{Question: 1, Option: 2}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ann.StopPoll(t.Context(), protocol.PollRef{PollID: "auto"}); err != nil {
		t.Fatal(err)
	}
	name := "Anna"
	if err := ann.Update(t.Context(), protocol.PeerUpdate{Name: &name}); err != nil {
		t.Fatal(err)
	}
	h.Registry.Close()
	want := []string{
		"opened s1", "poll auto started", "ann joined as broadcaster", "poll manual started",
		`vote for auto: question 1, option 2, by "ann", 7 points`, `vote for manual: question 1, option 2, by "", 7 points`,
		"poll auto stopped", "ann is now called Anna", "closed s1",
	}
	if got := h.noted(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
