package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"amphi/server/store"
)

// manual is WEBHOOKS.md.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("WEBHOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// snippet returns the only code of that language in the manual.
func snippet(t *testing.T, language string) string {
	t.Helper()
	_, rest, ok := strings.Cut(manual(t), "```"+language+"\n")
	code, rest, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 || strings.Contains(rest, "```"+language+"\n") {
		t.Fatalf("the manual has not one piece of %s", language)
	}
	return code
}

// caught is a request as a receiver got it.
type caught struct {
	Headers map[string]string `json:"headers"` // names in lower case
	Body    string            `json:"body"`
	Secret  string            `json:"secret"`
	Want    bool              `json:"want"`
}

// TestManualVerifies runs the manual's code for receivers against real requests: good ones, and ones that somebody has
// changed.
func TestManualVerifies(t *testing.T) {
	h := newHouse(t, 1)
	requests := make(chan caught, 1)
	rec := newReceiver(t, func(r *http.Request, _ string) int {
		body, _ := io.ReadAll(r.Body)
		c := caught{Headers: make(map[string]string), Body: string(body)}
		for name := range r.Header {
			c.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		requests <- c
		return 200
	})
	h.webhook(rec.URL, nil)
	old := h.seed.Workspace.WebhookSecret
	fresh, err := h.store.ReplaceWebhookSecret(t.Context(), h.seed.Workspace.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h.happen(h.rooms[0], "Ünïcode")
	h.run(nil)
	good := <-requests
	h.settled()

	with := func(secret string, want bool, change func(*caught)) caught {
		c := good
		c.Secret, c.Want, c.Headers = secret, want, make(map[string]string)
		for name, v := range good.Headers {
			c.Headers[name] = v
		}
		if change != nil {
			change(&c)
		}
		return c
	}
	cases := []caught{
		with(fresh, true, nil), with(old, true, nil), with("whsec_c29tZWJvZHkgZWxzZSdz", false, nil),
		with(fresh, false, func(c *caught) { c.Body += " " }),
		with(fresh, false, func(c *caught) { c.Headers["webhook-id"] = "other" }),
		with(fresh, false, func(c *caught) { c.Headers["webhook-signature"] = "v1,AAAA" }),
	}
	late := with(fresh, false, nil) // signed well, but long ago
	stale := make(http.Header)
	if err := sign(stale, []string{fresh}, late.Headers["webhook-id"], time.Now().Add(-time.Hour), []byte(late.Body)); err != nil {
		t.Fatal(err)
	}
	for name := range stale {
		late.Headers[strings.ToLower(name)] = stale.Get(name)
	}
	input, err := json.Marshal(append(cases, late))
	if err != nil {
		t.Fatal(err)
	}

	for name, program := range map[string]struct {
		file, text string
		command    []string
	}{
		"go": {"main.go", goFrame + snippet(t, "go"), []string{"go", "run", "main.go"}},
		"js": {"main.mjs", snippet(t, "js") + jsFrame, []string{"node", "main.mjs"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(program.command[0]); err != nil {
				t.Skipf("%s is not installed", program.command[0])
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, program.file), []byte(program.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program.command[0], program.command[1:]...)
			cmd.Dir, cmd.Stdin = dir, bytes.NewReader(input)
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != fmt.Sprint("right ", len(cases)+1) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The rest of programs that call verify for each case of their input.
const (
	goFrame = `package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	var cases []struct {
		Headers      map[string]string
		Body, Secret string
		Want         bool
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	right := 0
	for i, c := range cases {
		h := make(http.Header)
		for name, v := range c.Headers {
			h.Set(name, v)
		}
		if verify(h, []byte(c.Body), c.Secret) == c.Want {
			right++
		} else {
			fmt.Println("wrong", i)
		}
	}
	fmt.Println("right", right)
}

`
	jsFrame = `
import { readFileSync } from 'node:fs';
let right = 0;
JSON.parse(readFileSync(0)).forEach((c, i) => {
  if (verify(c.headers, Buffer.from(c.body), c.secret) === c.want) right++;
  else console.log('wrong', i);
});
console.log('right ' + right);
`
)

// documented finds the manual's examples: the event, and its data.
var documented = regexp.MustCompile("(?m)^`([a-z.]+)`[^`]*(?:`[^`\n]*`[^`]*)*?\n```json\n([^`]+)```")

// TestManualShowsEveryEvent: what the server can cause has an example with the same fields, and nothing else has.
func TestManualShowsEveryEvent(t *testing.T) {
	examples := make(map[string][]string)
	for _, m := range documented.FindAllStringSubmatch(manual(t), -1) {
		examples[m[1]] = fields(t, m[2])
	}
	envelopes := strings.SplitN(manual(t), "```json\n", 3)
	var envelope struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	text, _, _ := strings.Cut(envelopes[1], "```")
	if err := json.Unmarshal([]byte(text), &envelope); err != nil {
		t.Fatal(err)
	}
	examples[envelope.Type] = fields(t, string(envelope.Data))

	seen := make(map[string]bool)
	for _, e := range everything(t) {
		if err := json.Unmarshal(e.Payload, &envelope); err != nil {
			t.Fatal(err)
		}
		if got, want := fields(t, string(envelope.Data)), examples[e.Type]; !slices.Equal(got, want) {
			t.Errorf("%s\nhas     %v\nmanual: %v", e.Type, got, want)
		}
		if !slices.Equal(fields(t, string(e.Payload)), fields(t, text)) {
			t.Errorf("the envelope of %s differs from the manual's", e.Type)
		}
		seen[e.Type] = true
	}
	for name := range examples {
		if !seen[name] {
			t.Errorf("%s is in the manual, and never caused", name)
		}
	}
}

func fields(t *testing.T, object string) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatalf("%v\n%s", err, object)
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// everything causes every event that there is.
func everything(t *testing.T) []store.Event {
	t.Helper()
	h := newHouse(t, 1)
	h.webhook("https://app.example/hook", nil)
	s, ctx, roomID, at := h.store, t.Context(), h.rooms[0], time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.OpenSession(ctx, "S", roomID, at)
	must(err)
	p := store.Peer{ID: "p", SessionID: "S", Name: "Ada", Role: "viewer", UserID: "u", JoinedAt: at}
	must(s.PeerJoined(ctx, p, ""))
	must(s.JoinFailed(ctx, roomID, p, "", store.FailedRole, at))
	must(s.LeaveFailed(ctx, roomID, p, "", store.FailedNotJoined, at))
	must(s.RoleChanged(ctx, "S", "p", store.RoleChange{At: at, Role: "host", RequestedBy: "q"}))
	must(s.RoleChangeFailed(ctx, "S", "p", store.RoleChange{At: at, Role: "host", RequestedBy: "q"}, store.FailedRoleLimit))
	must(s.RoomEndFailed(ctx, roomID, "S", store.RoomEnd{At: at, PeerID: "p"}, 403, "no"))
	l, err := s.StartLiveStream(ctx, store.LiveStream{RoomID: roomID, SessionID: "S"})
	must(err)
	must(s.LiveStreamRunning(ctx, l.ID, at))
	must(s.LiveStreamStopped(ctx, l.ID, store.StoppedByRequest, at))
	l, err = s.StartLiveStream(ctx, store.LiveStream{RoomID: roomID, SessionID: "S"})
	must(err)
	must(s.LiveStreamFailed(ctx, l.ID, store.Failure{At: at, Type: "INTERNAL_ERROR"}))
	j, err := s.StartJob(ctx, store.Job{Kind: store.ExternalStream, RoomID: roomID, SessionID: "S"})
	must(err)
	_, err = s.JobRunning(ctx, j.ID, at)
	must(err)
	_, err = s.JobStopped(ctx, j.ID, store.StoppedByRequest, at)
	must(err)
	j, err = s.StartJob(ctx, store.Job{Kind: store.Recording, RoomID: roomID, SessionID: "S"})
	must(err)
	_, err = s.JobFailed(ctx, j.ID, store.Failure{At: at, Type: "INTERNAL_ERROR"})
	must(err)
	file := func(id string, kind store.AssetType) store.RecordedFile {
		return store.RecordedFile{Asset: store.Asset{RoomID: roomID, JobID: id, Type: kind, Status: store.AssetCompleted}}
	}
	still := store.Still{Path: "s3://b/still", URL: "https://b.example/still"}
	must(s.RecordingDone(ctx, store.Recorded{ID: l.ID, At: at, Files: []store.RecordedFile{file(l.ID, store.AssetVOD), file(l.ID, store.AssetComposite)},
		Poster: still, Thumbnails: []store.Still{still}}))
	must(s.RecordingDone(ctx, store.Recorded{ID: j.ID, Job: store.Recording, At: at, Files: []store.RecordedFile{file(j.ID, store.AssetComposite)},
		Poster: still, Thumbnails: []store.Still{still}}))
	track := store.TrackRef{RoomID: roomID, SessionID: "S", PeerID: "p", StreamID: "s", TrackID: "t", Kind: "audio"}
	must(s.TrackRecording(ctx, track, at))
	good, bad := file("", store.AssetTrack), file("", store.AssetTrack)
	good.ID, good.URL = "good", "https://b.example/track"
	bad.ID, bad.Status, bad.Metadata = "bad", store.AssetFailed, map[string]any{"error": "the disk is full"}
	must(s.TrackRecorded(ctx, store.RecordedTrack{Track: track, At: at, File: good}))
	must(s.TrackRecorded(ctx, store.RecordedTrack{Track: track, At: at, File: bad}))
	must(s.RoomEnded(ctx, "S", store.RoomEnd{At: at, PeerID: "p"}))
	must(s.CloseSession(ctx, "S", at))
	events, err := s.NextEvents(ctx, roomID, 1000)
	must(err)
	return events
}
