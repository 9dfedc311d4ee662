package dashboard

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/poll"
	"amphi/server/protocol"
	"amphi/server/store"
)

// held records a session of an hour with two people, a stream, a poll and a chat, and returns its id.
func held(t *testing.T, k *desk) string {
	t.Helper()
	ctx, id, began := t.Context(), store.NewID(), time.Now().Add(-time.Hour).Truncate(time.Second)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := k.store.OpenSession(ctx, id, k.seed.Room.ID, began)
	must(err)
	must(k.store.PeerJoined(ctx, store.Peer{ID: "a", SessionID: id, Name: "=HYPERLINK(1)", Role: policy.RoleBroadcaster, UserID: "-1", JoinedAt: began}, ""))
	must(k.store.PeerJoined(ctx, store.Peer{ID: "b", SessionID: id, Name: "Bob, <b>", Role: "hls-viewer", JoinedAt: began.Add(30 * time.Minute)}, ""))
	must(k.store.PeerLeft(ctx, id, "b", store.Leave{At: began.Add(45 * time.Minute)}))
	l, err := k.store.StartLiveStream(ctx, store.LiveStream{RoomID: k.seed.Room.ID, SessionID: id, Destination: "main"})
	must(err)
	must(k.store.LiveStreamRunning(ctx, l.ID, began.Add(10*time.Minute)))
	must(k.store.AddChat(ctx, store.ChatMessage{SessionID: id, Name: "Bob", Type: "chat", Message: "<script>alert(1)</script>", SentAt: began}))
	question := poll.Question{PollQuestionText: protocol.PollQuestionText{Index: 1, Text: "Tea?", Type: poll.SingleChoice},
		Options: []protocol.PollOption{{Index: 1, Text: "Yes"}, {Index: 2, Text: "No"}}}
	question.Answer.Options = []int{1}
	p, err := k.store.AddPoll(ctx, store.Poll{WorkspaceID: k.seed.Workspace.ID, Title: "Drinks", Type: "quiz", Questions: []poll.Question{question}})
	must(err)
	run := store.NewID()
	must(k.store.StartPoll(ctx, run, p.ID, id, began.Add(time.Minute)))
	_, err = k.store.AddPollResponses(ctx, store.PollResponse{PollSessionID: run, Question: 1, Participant: "b", Options: []int{1}, SentAt: began})
	must(err)
	return id
}

func TestSessions(t *testing.T) {
	k := desked(t, account.Viewer, nil)
	k.get("/dashboard/sessions", "No sessions yet")
	id := held(t, k)
	path := "/dashboard/sessions/" + id
	k.get("/dashboard/sessions", path, "main-stage", ">live<")
	k.get("/dashboard/sessions?room=main", path)
	k.get("/dashboard/sessions?room=nowhere", "No session then and there")
	k.get("/dashboard/sessions?room="+k.seed.Room.ID+"&from="+time.Now().AddDate(0, 0, -2).Format(time.DateOnly)+"&to="+time.Now().Format(time.DateOnly), path)
	k.get("/dashboard/sessions?from="+time.Now().AddDate(0, 0, 2).Format(time.DateOnly), "No session then and there")
	k.get("/dashboard/sessions?from=yesterday", "This must be a day")
	page := k.get(path, "Bob, &lt;b&gt;", "&lt;script&gt;", "The live stream began", "Drinks", "Tea?", `max="1" value="1"`, "The session began", "15.0", "Most at once")
	if strings.Contains(page, "<script>alert") || !strings.Contains(page, `class="bar-stream"`) {
		t.Error("markup is not text, or the stream is not drawn")
	}

	_, body, header := k.do(http.MethodGet, path+"/attendance.csv", nil)
	if !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
		t.Error(header)
	}
	table, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(table) != 3 || table[1][0] != "'=HYPERLINK(1)" || table[1][2] != "'-1" || table[2][0] != "Bob, <b>" || table[2][5] != "15.0" || table[1][4] != "" {
		t.Errorf("table: %q, %v", table, err)
	}
	for _, name := range []string{"=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1"} {
		if got := cell(name); got != "'"+name {
			t.Errorf("cell of %q: %q", name, got)
		}
	}
	if status, _, _ := k.do(http.MethodGet, "/dashboard/sessions/"+store.NewID(), nil); status != http.StatusNotFound {
		t.Errorf("an unknown session: %d", status)
	}
}

func TestCurveOfPeople(t *testing.T) {
	from := time.Unix(1_700_000_000, 0)
	at := func(minutes int) time.Time { return from.Add(time.Duration(minutes) * time.Minute) }
	c := curve([]store.Peer{{JoinedAt: at(0), LeftAt: at(60)}, {JoinedAt: at(20), LeftAt: at(40)}, {JoinedAt: at(40)}}, from, at(60))
	if len(c.Counts) != curvePoints || c.Most != 2 || c.Counts[0] != 1 || c.Counts[curvePoints/2] != 2 {
		t.Errorf("%+v", c)
	}
}

func TestRecordings(t *testing.T) {
	k := desked(t, account.Viewer, nil)
	k.get("/dashboard/recordings", "No recordings yet")
	save := func(a store.Asset) store.Asset {
		t.Helper()
		a.RoomID = k.seed.Room.ID
		kept, err := k.store.SaveAsset(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	ready := save(store.Asset{Type: store.AssetComposite, Status: store.AssetCompleted, Path: "local://assets/a.mp4", Size: 1_234_567, Duration: 4000,
		Metadata: map[string]any{"resolution": "<1280x720>"}})
	failed := save(store.Asset{Type: store.AssetVOD, Status: store.AssetFailed})
	k.get("/dashboard/recordings", "1.2 MB", "1 h 06 min", "main-stage", ">failed<")
	if page := k.get("/dashboard/recordings?status=completed&type=room-composite"); strings.Contains(page, failed.ID) || !strings.Contains(page, ready.ID) {
		t.Error("the filter does not filter")
	}
	k.get("/dashboard/recordings?room=nothing", "No such recording")
	k.get("/dashboard/recordings/"+ready.ID, "&lt;1280x720&gt;", "does not have the file")
	k.get("/dashboard/recordings/"+failed.ID, "The recording failed")
	for name, want := range map[string]string{"a.mp4": "video", "x/master.m3u8": "hls", "b.zip": "", "c.m4a": "audio"} {
		if got := playerOf(store.Asset{Path: name}); string(got) != want {
			t.Errorf("%s is played as %q", name, got)
		}
	}
}
