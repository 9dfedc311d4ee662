package room

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"amphi/server/protocol"
)

func TestSessionStore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	ann, annIn := h.join("ann", "broadcaster")
	bob, bobIn := h.join("bob", "hls-viewer")
	annIn.take()
	ctx := t.Context()
	set := func(p *Peer, key, data string) protocol.MetadataValue {
		t.Helper()
		v, err := p.SetMetadata(ctx, protocol.SetMetadata{Key: key, Data: json.RawMessage(data)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}

	if v, err := bob.GetMetadata(ctx, protocol.GetMetadata{Key: "default"}); err != nil || string(v.Data) != "null" || v.Key != "default" {
		t.Errorf("a key that was never set: %+v %v", v, err)
	}
	if v := set(ann, "spotlight", `{"peer":"ann"}`); v.ChangeVersion != 1 || v.UpdatedBy != "ann" || v.UpdatedAt == 0 {
		t.Errorf("%+v", v)
	}
	wantMethods(t, bobIn)
	wantMethods(t, annIn)

	// Who begins to listen is told the value, and of each change from then on.
	listen := func(p *Peer, keys ...string) {
		t.Helper()
		if err := p.ListenMetadata(ctx, protocol.ListenMetadata{Keys: keys}); err != nil {
			t.Fatal(err)
		}
	}
	listen(bob, "spotlight", "other", "spotlight")
	told := one[protocol.MetadataChange](t, bobIn, protocol.OnMetadataChange)
	if len(told.Values) != 1 || string(told.Values[0].Data) != `{"peer":"ann"}` {
		t.Errorf("%+v", told)
	}
	listen(bob, "spotlight")
	wantMethods(t, bobIn)
	set(bob, "spotlight", `"bob"`) // also the one who sets it
	if told := one[protocol.MetadataChange](t, bobIn, protocol.OnMetadataChange); told.Values[0].ChangeVersion != 2 || string(told.Values[0].Data) != `"bob"` {
		t.Errorf("%+v", told)
	}
	wantMethods(t, annIn)

	// It survives a lost socket: current values come with the next one.
	r := bob.room
	set(ann, "spotlight", `1`)
	bobIn.take()
	again := &inbox{}
	if _, err := r.Connect(ctx, h.identity("bob", "hls-viewer"), again); err != nil {
		t.Fatal(err)
	}
	if told := one[protocol.MetadataChange](t, again, protocol.OnMetadataChange); string(told.Values[0].Data) != `1` {
		t.Errorf("%+v", told)
	}
	if v := set(ann, "spotlight", ""); string(v.Data) != "null" || v.ChangeVersion != 4 {
		t.Errorf("deleted: %+v", v)
	}
	if told := one[protocol.MetadataChange](t, again, protocol.OnMetadataChange); string(told.Values[0].Data) != "null" {
		t.Errorf("%+v", told)
	}
	listen(bob)
	set(ann, "spotlight", `2`)
	wantMethods(t, again)
}

func TestSessionStoreIsBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	ann, _ := h.join("ann", "broadcaster")
	long := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
	set := func(key string, data json.RawMessage, want int) {
		t.Helper()
		_, err := ann.SetMetadata(t.Context(), protocol.SetMetadata{Key: key, Data: data})
		wantCode(t, err, want)
	}
	set("", long(2), 400)
	set(strings.Repeat("k", maxMetadataKey+1), long(2), 400)
	set("a", long(maxMetadataValue+1), 413)
	for i := range maxMetadataTotal / maxMetadataValue {
		set(fmt.Sprint(i), long(maxMetadataValue), 0)
	}
	set("more", long(2), 413)
	set("0", long(maxMetadataValue), 0) // in place of itself
	set("0", nil, 0)
	for i := range maxMetadataKeys - 4 {
		set(fmt.Sprintf("key %d", i), long(3), 0)
	}
	set("one more", long(2), 413)
	wantCode(t, ann.ListenMetadata(t.Context(), protocol.ListenMetadata{Keys: make([]string, maxMetadataKeys+1)}), 413)
	wantCode(t, ann.ListenMetadata(t.Context(), protocol.ListenMetadata{Keys: []string{strings.Repeat("k", 1000)}}), 400)

	slow := newHouse(t, Limits{MessagesPerSecond: 0.001, MessageBurst: 1})
	bob, _ := slow.join("bob", "broadcaster")
	_, err := bob.SetMetadata(t.Context(), protocol.SetMetadata{Key: "k", Data: long(3)})
	wantCode(t, err, 0)
	_, err = bob.SetMetadata(t.Context(), protocol.SetMetadata{Key: "k", Data: long(3)})
	wantCode(t, err, 429)
}
