package pages

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/pion/webrtc/v4"
	"golang.org/x/sync/errgroup"

	"amphi/e2e/testserver"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// Roles of the Starter Kit: one for each level.
const (
	stage   = "broadcaster"
	floor   = "viewer-realtime"
	gallery = "hls-viewer"
)

var names = []string{
	"Ada Lovelace", "Émile Zola", "李小龍", "Grace", "Katherine Johnson", "Omar Khayyam", "Sólrún Ásgeirsdóttir", "Bo", "Mary-Ann O’Neill",
	"Alan", "Chimamanda", "Nikola", "Hedy Lamarr", "Rosalind", "Srinivasa Ramanujan", "Tove", "Wisława", "Zaha", "Yo-Yo", "Frida",
	"Edsger", "Barbara", "Linus", "Radia", "Jorge Luis",
}

// peer is somebody of the Go client, who has a picture and does what a test tells them.
type peer struct{ *client.Client }

// enter brings so many people into the room. Their picture is a clip of wasm/rtc's tests, or another one.
func enter(t *testing.T, server *testserver.Server, room *testserver.Room, role string, n int, clip string) []peer {
	t.Helper()
	if clip == "" {
		clip = filepath.Join("..", "..", "wasm", "rtc", "testdata", "pattern.ivf")
	}
	var crowd []peer
	var joining errgroup.Group
	joining.SetLimit(4)
	for i := range n {
		name := names[i%len(names)]
		person := client.New(client.Config{
			Engine:  &rtc.Engine{Loopback: true, Settings: func(e *webrtc.SettingEngine) { e.SetIPFilter(net.IP.IsLoopback) }},
			Capture: &rtc.Capture{Audio: rtc.Silence, Video: rtc.File(clip)},
			Sink:    client.Sink{Patch: func(client.Patch) {}, Notification: func(client.Notification) {}},
			OnMedia: func(e client.MediaEvent) {
				if e.Remote != nil {
					e.Remote.Discard() // somebody has to read it
				}
			},
			Log: slog.New(slog.DiscardHandler),
		})
		crowd = append(crowd, peer{person})
		joining.Go(func() error {
			return person.Join(t.Context(), client.JoinConfig{
				AuthToken: server.Keys().AuthToken(room.ID, role, fmt.Sprintf("%s-%d", role, i)), UserName: name, InitEndpoint: server.URL,
			})
		})
	}
	if err := joining.Wait(); err != nil {
		t.Fatal(err)
	}
	return crowd
}

func (p peer) hand(t *testing.T, up bool) {
	t.Helper()
	if err := p.SetHand(t.Context(), p.State().Room.LocalPeer, up); err != nil {
		t.Fatal(err)
	}
}

func (p peer) writes(t *testing.T, text string) {
	t.Helper()
	if _, err := p.Send(t.Context(), text, "chat", nil, ""); err != nil {
		t.Fatal(err)
	}
}

// leave takes people out of the room.
func leave(t *testing.T, crowd []peer) {
	t.Helper()
	var leaving errgroup.Group
	for _, p := range crowd {
		leaving.Go(func() error { return p.Leave(t.Context()) })
	}
	if err := leaving.Wait(); err != nil {
		t.Error(err)
	}
}
