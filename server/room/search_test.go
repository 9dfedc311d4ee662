package room

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"amphi/server/protocol"
)

func TestFindPeers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	ann, _ := h.join("ann", "broadcaster")
	peers := map[string]*Peer{}
	for i := range 25 {
		id := fmt.Sprintf("v%02d", i)
		peers[id], _ = h.join(id, "hls-viewer")
	}
	ctx := t.Context()
	ids := func(page protocol.PeerPage) (list []string) {
		for _, p := range page.Peers {
			list = append(list, p.PeerID)
		}
		return list
	}
	first, err := ann.FindPeers(ctx, protocol.FindPeers{Role: "hls-viewer"})
	if err != nil || len(first.Peers) != defaultPage || first.Total != 25 || first.EOF || first.Iterator == "" {
		t.Fatalf("%+v %v", first, err)
	}
	// Who comes and goes in between neither hides nor repeats anybody.
	if err := peers["v03"].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	h.join("late", "hls-viewer")
	seen := ids(first)
	for it := first.Iterator; ; it = "" { // without one it is the newest
		page, err := ann.NextPeers(ctx, protocol.NextPeers{Iterator: it, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, ids(page)...)
		if page.EOF {
			break
		}
	}
	if len(seen) != 26 || len(slices.Compact(slices.Sorted(slices.Values(seen)))) != 26 || seen[25] != "late" {
		t.Errorf("%d: %v", len(seen), seen)
	}

	if _, err := peers["v05"].JoinGroup(ctx, protocol.GroupChange{Name: protocol.HandRaiseGroup}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		filter protocol.FindPeers
		want   []string
	}{
		{protocol.FindPeers{Group: protocol.HandRaiseGroup}, []string{"v05"}},
		{protocol.FindPeers{PeerIDs: []string{"v01", "gone", "ann"}}, []string{"ann", "v01"}},
		{protocol.FindPeers{PeersToo: []string{"v02"}}, []string{"v02"}},
		{protocol.FindPeers{PeerIDs: []string{"ann"}, Role: "hls-viewer"}, nil},
		{protocol.FindPeers{Role: "nobody"}, nil},
	} {
		page, err := ann.FindPeers(ctx, tt.filter)
		if err != nil || !slices.Equal(ids(page), tt.want) || !page.EOF || page.Total != len(tt.want) || page.Peers == nil {
			t.Errorf("%+v: %+v %v", tt.filter, page, err)
		}
	}
	if page, err := ann.FindPeers(ctx, protocol.FindPeers{Limit: 1e6}); err != nil || len(page.Peers) != 26 {
		t.Errorf("%d peers, %v", len(page.Peers), err)
	}

	for range maxIterators {
		if _, err := ann.FindPeers(ctx, protocol.FindPeers{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = ann.NextPeers(ctx, protocol.NextPeers{Iterator: first.Iterator})
	wantCode(t, err, 404)
	_, err = peers["v01"].NextPeers(ctx, protocol.NextPeers{})
	wantCode(t, err, 404)
	_, err = ann.FindPeers(ctx, protocol.FindPeers{PeerIDs: make([]string, maxFilterIDs+1)})
	wantCode(t, err, 413)
}

func TestSearchNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	ann, _ := h.join("Ann", "broadcaster")
	for i := range 15 {
		h.join(fmt.Sprintf("anna %d", i), "viewer-realtime")
	}
	h.join("bob", "viewer-realtime")
	search := func(query string, offset int) protocol.NamesFound {
		t.Helper()
		found, err := ann.SearchNames(t.Context(), protocol.SearchNames{Query: query, Offset: offset})
		if err != nil || found.Count != len(found.Peers) || found.Peers == nil {
			t.Fatalf("%+v %v", found, err)
		}
		return found
	}
	first := search("ANN", 0)
	if first.Count != 10 || first.EOF || first.Peers[0].Name != "name of Ann" || first.Peers[0].Type != "regular" {
		t.Errorf("%+v", first)
	}
	if second := search("ANN", first.Offset); second.Count != 6 || !second.EOF || second.Offset != 16 {
		t.Errorf("%+v", second)
	}
	if found := search("nobody", 0); found.Count != 0 || !found.EOF {
		t.Errorf("%+v", found)
	}
	_, err := ann.SearchNames(t.Context(), protocol.SearchNames{Offset: -1})
	wantCode(t, err, 400)
	_, err = ann.SearchNames(t.Context(), protocol.SearchNames{Query: strings.Repeat("x", 1000)})
	wantCode(t, err, 413)
}
