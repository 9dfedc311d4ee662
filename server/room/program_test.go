package room

import (
	"slices"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

// TestProgram: whose picture and sound a player gets first.
func TestProgram(t *testing.T) {
	roles := policy.StarterKit().Roles
	stage, floor := roles[policy.RoleBroadcaster], roles[policy.RoleViewerRealtime]
	names := map[*sfu.Track]string{}
	publishes := func(id string, tracks ...protocol.Track) *Peer {
		p := &Peer{ID: id, role: stage}
		for _, info := range tracks {
			m := new(sfu.Track)
			names[m] = id + " " + info.Source + " " + string(info.Kind)
			p.tracks = append(p.tracks, &track{Track: info, media: m})
		}
		return p
	}
	camera, mic := protocol.Track{Kind: protocol.Video, Source: "regular"}, protocol.Track{Kind: protocol.Audio, Source: "regular"}
	screen, sound := protocol.Track{Kind: protocol.Video, Source: "screen"}, protocol.Track{Kind: protocol.Audio, Source: "screen"}
	off := camera
	off.Mute = true
	player := &Peer{ID: "player", role: floor, silent: true, plays: true}
	viewer := &Peer{ID: "viewer", role: floor}
	r := &Room{order: []*Peer{publishes("ann", off, mic), player, publishes("bob", camera, mic, sound), viewer, publishes("cid", camera, mic, screen)}}
	got := func() (list []string) {
		for _, m := range r.program(player) {
			list = append(list, names[m])
		}
		return list
	}
	want := func(list ...string) {
		t.Helper()
		if got := got(); !slices.Equal(got, list) {
			t.Errorf("got %q, want %q", got, list)
		}
	}
	want("cid screen video", "ann regular audio", "bob regular video", "bob regular audio", "cid regular video", "cid regular audio", "bob screen audio", "ann regular video")

	// Who speaks comes to the front, unless somebody came there a moment ago.
	now := time.Now()
	speaks := func(id string, at time.Time) { r.direct([]protocol.Speaker{{PeerID: id, Level: 50}}, at) }
	speaks("cid", now)
	speaks("bob", now.Add(time.Second))
	want("cid screen video", "cid regular video", "cid regular audio", "ann regular audio", "bob regular video", "bob regular audio", "bob screen audio", "ann regular video")
	r.direct(nil, now.Add(time.Hour)) // silence changes nothing
	speaks("bob", now.Add(time.Hour))
	want("cid screen video", "bob regular video", "bob regular audio", "ann regular audio", "cid regular video", "cid regular audio", "bob screen audio", "ann regular video")
	priorities := map[string]int{}
	for m, name := range names {
		priorities[name] = m.Priority()
	}
	for name, priority := range map[string]int{"cid screen video": 2, "bob regular video": 1, "cid regular video": 0, "ann regular video": 0} {
		if priorities[name] != priority {
			t.Errorf("%s has priority %d, not %d", name, priorities[name], priority)
		}
	}
	r.order[4].hidden = true
	want("bob regular video", "bob regular audio", "ann regular audio", "bob screen audio", "ann regular video")
}
