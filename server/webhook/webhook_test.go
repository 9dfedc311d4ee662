package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/store"
	"amphi/server/store/storetest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// house is a store with rooms, and what is needed to run senders on it.
type house struct {
	t     *testing.T
	store *store.Store
	seed  store.Seeded
	rooms []string
}

func newHouse(t *testing.T, rooms int) *house {
	t.Helper()
	return newHouseAt(t, storetest.SQLite(t), rooms)
}

func newHouseAt(t *testing.T, where string, rooms int) *house {
	t.Helper()
	s, err := store.Open(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	n := 0
	seed, err := s.Seed(t.Context(), func() string { n++; return fmt.Sprint(n) })
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: s, seed: seed}
	for i := range rooms {
		r, err := s.SaveRoom(t.Context(), seed.Workspace.ID, fmt.Sprintf("room-%d", i), func(*store.Room) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		h.rooms = append(h.rooms, r.ID)
	}
	return h
}

func (h *house) webhook(url string, headers map[string]string) {
	h.t.Helper()
	if err := h.store.SetWebhook(h.t.Context(), h.seed.Workspace.ID, store.Webhook{URL: url, Headers: headers}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) roomWebhook(room, url string) {
	h.t.Helper()
	_, err := h.store.ChangeRoom(h.t.Context(), h.seed.Workspace.ID, room, func(r *store.Room) error {
		r.Webhook = &store.Webhook{URL: url}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// happen makes an event in the room; id is the session_id of its data.
func (h *house) happen(room, id string) {
	h.t.Helper()
	if _, err := h.store.OpenSession(h.t.Context(), id, room, time.Now()); err != nil {
		h.t.Fatal(err)
	}
}

// run starts a sender; stop ends it and waits for it.
func (h *house) run(change func(*Sender)) (s *Sender, stop func()) {
	h.t.Helper()
	s = &Sender{Store: h.store, AllowNetworks: loopback, Timeout: 10 * time.Second, RetryPauses: []time.Duration{time.Millisecond},
		RetryFor: time.Hour, Keep: time.Hour, KeepEvents: 1 << 20, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(stop)
	return s, stop
}

// settled waits until no event is pending and returns how many were delivered and given up.
func (h *house) settled() (delivered, dead int) {
	h.t.Helper()
	for {
		n, err := h.store.CountEvents(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		if n[store.Pending] == 0 {
			return n[store.Delivered], n[store.Dead]
		}
		time.Sleep(time.Millisecond)
	}
}

// receiver keeps what it accepted; answer chooses the status of each request.
type receiver struct {
	*httptest.Server
	answer func(r *http.Request, session string) int

	mu  sync.Mutex
	got map[string][]string // session ids by room, in order
}

func newReceiver(t *testing.T, answer func(r *http.Request, session string) int) *receiver {
	t.Helper()
	rec := &receiver{answer: answer, got: make(map[string][]string)}
	rec.Server = httptest.NewServer(rec)
	t.Cleanup(rec.Close)
	return rec
}

func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct {
		Data struct {
			RoomID    string `json:"room_id"`
			SessionID string `json:"session_id"`
		}
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &e); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	status := 200
	if rec.answer != nil {
		status = rec.answer(r, e.Data.SessionID)
	}
	if status == 200 {
		rec.mu.Lock()
		rec.got[e.Data.RoomID] = append(rec.got[e.Data.RoomID], e.Data.SessionID)
		rec.mu.Unlock()
	}
	w.WriteHeader(status)
}

func (rec *receiver) accepted(room string) []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]string(nil), rec.got[room]...)
}

func TestRequest(t *testing.T) {
	h := newHouse(t, 1)
	type request struct {
		header http.Header
		host   string
		body   string
	}
	requests := make(chan request, 1)
	rec := newReceiver(t, func(r *http.Request, _ string) int {
		body, _ := io.ReadAll(r.Body)
		requests <- request{r.Header, r.Host, string(body)}
		return http.StatusOK
	})
	h.webhook(rec.URL, map[string]string{"X-Key": "v", "Host": "other.example", "webhook-signature": "forged", "Content-Type": "text/plain"})
	h.happen(h.rooms[0], "S")
	events, err := h.store.NextEvents(t.Context(), h.rooms[0], 1)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	e := events[0]
	h.run(nil)
	got := <-requests

	if got.body != string(e.Payload) || got.host != "other.example" || got.header.Get("X-Key") != "v" ||
		got.header.Get("Content-Type") != "application/json" || got.header.Get("Webhook-Id") != e.ID {
		t.Errorf("%+v", got)
	}
	// As a receiver with a Standard Webhooks library verifies it.
	secret := h.seed.Workspace.WebhookSecret
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	timestamp := got.header.Get("Webhook-Timestamp")
	if sec, err := strconv.ParseInt(timestamp, 10, 64); err != nil || time.Since(time.Unix(sec, 0)).Abs() > 5*time.Minute {
		t.Errorf("timestamp %q", timestamp)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(e.ID + "." + timestamp + "." + got.body))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("Webhook-Signature") != want {
		t.Errorf("signature %q, want %q", got.header.Get("Webhook-Signature"), want)
	}
	mac = hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(got.body))
	if want := hex.EncodeToString(mac.Sum(nil)); got.header.Get("X-100ms-Signature") != want {
		t.Errorf("x-100ms-signature %q, want %q", got.header.Get("X-100ms-Signature"), want)
	}
	h.settled()
}

func TestOrderWithAFailingReceiver(t *testing.T) {
	const rooms, events = 5, 20
	h := newHouse(t, rooms)
	var mu sync.Mutex
	tries := make(map[string]int)
	rec := newReceiver(t, func(r *http.Request, session string) int {
		mu.Lock()
		defer mu.Unlock()
		tries[session]++
		if tries[session] < 3 {
			return []int{500, 302, 204}[tries[session]] // 204 is no success: the contract knows 200 only
		}
		return 200
	})
	h.webhook(rec.URL, nil)
	s, stop := h.run(nil)
	want := make(map[string][]string)
	for i := range events {
		for _, room := range h.rooms {
			id := fmt.Sprintf("%s-%d", room[20:], i)
			want[room] = append(want[room], id)
			h.happen(room, id)
		}
	}
	if delivered, dead := h.settled(); delivered != rooms*events || dead != 0 {
		t.Errorf("%d delivered, %d dead", delivered, dead)
	}
	for _, room := range h.rooms {
		if got := rec.accepted(room); !reflect.DeepEqual(got, want[room]) {
			t.Errorf("got %v\nwant %v", got, want[room])
		}
	}
	stop()
	if got := s.Stats(); got != (Stats{Delivered: rooms * events, Failed: 2 * rooms * events}) {
		t.Errorf("%+v", got)
	}
}

func TestSlowReceiverDelaysItsOwnRoomsOnly(t *testing.T) {
	const slow = maxAttemptsPerHost + 4
	h := newHouse(t, slow+1)
	release, reached := make(chan struct{}), make(chan struct{}, slow)
	tar := newReceiver(t, func(r *http.Request, _ string) int {
		reached <- struct{}{}
		<-release
		return 200
	})
	quick := newReceiver(t, nil)
	h.webhook(tar.URL, nil)
	last := h.rooms[slow]
	h.roomWebhook(last, quick.URL)
	for i, room := range h.rooms[:slow] {
		h.happen(room, fmt.Sprint("slow-", i))
	}
	h.run(nil)
	for range maxAttemptsPerHost {
		<-reached
	}
	for i := range 3 { // while all others hang
		h.happen(last, fmt.Sprint("quick-", i))
	}
	for len(quick.accepted(last)) < 3 {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-reached:
		t.Error("a host got more attempts at once than it may")
	default:
	}
	close(release)
	if delivered, _ := h.settled(); delivered != slow+3 {
		t.Errorf("%d delivered", delivered)
	}
}

func TestTimeoutAndDeadLetters(t *testing.T) {
	h := newHouse(t, 1)
	release := make(chan struct{})
	rec := newReceiver(t, func(_ *http.Request, session string) int {
		if session == "hangs" {
			<-release
		}
		return 200
	})
	defer close(release)
	h.webhook(rec.URL, nil)
	h.happen(h.rooms[0], "hangs")
	h.happen(h.rooms[0], "next")
	s, stop := h.run(func(s *Sender) { s.Timeout, s.RetryFor = 50*time.Millisecond, 1 })
	// The one behind a dead letter is delivered.
	if delivered, dead := h.settled(); delivered != 1 || dead != 1 {
		t.Errorf("%d delivered, %d dead", delivered, dead)
	}
	stop()
	if got := s.Stats(); got != (Stats{Delivered: 1, Failed: 1, Dead: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestRestartInTheMiddle(t *testing.T) {
	const events = 30
	h := newHouse(t, 1)
	arrived := make(chan string)
	rec := newReceiver(t, func(_ *http.Request, session string) int {
		arrived <- session
		return 200
	})
	h.webhook(rec.URL, nil)
	var want []string
	for i := range events {
		want = append(want, fmt.Sprintf("S%02d", i))
		h.happen(h.rooms[0], want[i])
	}
	var got []string
	for len(got) < events {
		_, stop := h.run(nil)
		for range 7 {
			if len(got) < events {
				got = append(got, <-arrived)
			}
		}
		// stop waits for the request on its way, which hangs until it is taken here.
		done := make(chan struct{})
		go func() { stop(); close(done) }()
		for stopped := false; !stopped; {
			select {
			case s := <-arrived:
				got = append(got, s)
			case <-done:
				stopped = true
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestNoWebhookAnyMore(t *testing.T) {
	h := newHouse(t, 1)
	h.webhook("http://127.0.0.1:1", nil)
	h.happen(h.rooms[0], "S")
	h.webhook("", nil)
	h.run(nil)
	if delivered, dead := h.settled(); delivered != 0 || dead != 1 {
		t.Errorf("%d delivered, %d dead", delivered, dead)
	}
}

func TestPause(t *testing.T) {
	s := &Sender{RetryPauses: []time.Duration{time.Second, time.Minute}}
	for n, want := range map[int]time.Duration{0: time.Second, 1: time.Minute, 2: time.Minute, 1000: time.Minute} {
		if got := s.pause(n); got < want || got > want+want/10 {
			t.Errorf("after %d: %v", n+1, got)
		}
	}
}

// TestRetryAfterIsHonoured: within bounds, and only if it is longer than our own pause.
func TestRetryAfterIsHonoured(t *testing.T) {
	s := &Sender{RetryPauses: []time.Duration{10 * time.Second}, RetryFor: 24 * time.Hour, Log: slog.New(slog.DiscardHandler)}
	for asked, want := range map[time.Duration]time.Duration{
		0: 10 * time.Second, time.Second: 10 * time.Second, time.Minute: time.Minute, 5 * time.Hour: maxRetryAfter,
	} {
		o := s.outcome(store.Event{CreatedAt: time.Now()}, refusal{http.StatusServiceUnavailable, asked})
		if got := o.Next.Sub(o.At); o.Now != store.Pending || got < want || got > want+want/10 {
			t.Errorf("asked for %v: %+v", asked, o)
		}
	}
	// What would be tried too late is given up.
	o := s.outcome(store.Event{CreatedAt: time.Now().Add(-23*time.Hour - 30*time.Minute)}, refusal{http.StatusServiceUnavailable, time.Hour})
	if o.Now != store.Dead || o.Reason != "receiver answered 503 Service Unavailable" {
		t.Errorf("%+v", o)
	}
}
