package meeting

import (
	"fmt"
	"net"
	"testing"
	"time"

	"amphi/e2e/testserver"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// TestRestart: a call goes on when the server was stopped, or killed, and started again: nobody joins anew, the session
// is the same, and sound comes again.
func TestRestart(t *testing.T) {
	for name, end := range map[string]func(*testserver.Server) error{
		"stopped": (*testserver.Server).Stop,
		"killed":  (*testserver.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			data, addr := t.TempDir(), freeAddress(t)
			m := newMeeting(t, data, "--addr", addr)
			all := []*person{m.newPerson(0, stage), m.newPerson(1, stage), m.newPerson(2, floor), m.newPerson(3, gallery)}
			for _, p := range all {
				t.Cleanup(p.client.Close)
				if err := p.join(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := all[1].client.SetHand(t.Context(), all[1].client.State().Room.LocalPeer, true); err != nil {
				t.Fatal(err)
			}
			m.check(all)
			was := make([]client.State, len(all))
			for i, p := range all {
				was[i] = p.client.State()
			}
			m.eventually("both are heard", func() error {
				if n := len(all[2].sounds()); n != 2 {
					return fmt.Errorf("%d sounds", n)
				}
				return nil
			})
			before := all[2].sounds()
			time.Sleep(3 * time.Second) // by then the state is saved, also for a server that gets no last word
			if err := end(m.server); err != nil {
				t.Fatal(err)
			}
			server, err := testserver.Start(t.Context(), testserver.Config{Binary: *binary, DataDir: data, Args: []string{"--addr", addr}})
			if err != nil {
				t.Fatal(err)
			}
			m.server = server

			m.eventually("everybody is back", func() error {
				for i, p := range all {
					s := p.client.State()
					self := s.Peers[s.Room.LocalPeer]
					switch {
					case s.Room.RoomState != client.Connected:
						return fmt.Errorf("%s is %s: %v", p.name, s.Room.RoomState, s.Errors)
					case s.Room.LocalPeer != was[i].Room.LocalPeer || s.Room.SessionID != was[i].Room.SessionID:
						return fmt.Errorf("%s is in another session, or somebody else", p.name)
					case self.IsHandRaised != (i == 1):
						return fmt.Errorf("%s has a hand raised: %v", p.name, self.IsHandRaised)
					}
				}
				return m.compare(all)
			})
			// Media comes over new connections.
			m.eventually("media is new", func() error {
				now := all[2].sounds()
				for id, track := range now {
					if track == before[id] {
						return fmt.Errorf("track %s is from before", id)
					}
				}
				if len(now) != 2 {
					return fmt.Errorf("%d sounds", len(now))
				}
				return nil
			})
			m.listen(all)
		})
	}
}

// sounds is the audio that comes.
func (p *person) sounds() map[string]*rtc.RemoteTrack {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := map[string]*rtc.RemoteTrack{}
	for id, track := range p.heard {
		if track.Kind == rtc.Audio {
			list[id] = track
		}
	}
	return list
}

// freeAddress is one that a server can take again after it was stopped.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
