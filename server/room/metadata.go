package room

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"amphi/server/protocol"
)

// Bounds of the session store (§3.6.8). The documented size of a value, 1 KB, is
// what apps may rely on; more is taken, as pinned messages grow.
const (
	maxMetadataKeys  = 100
	maxMetadataKey   = 128      // bytes
	maxMetadataValue = 16 << 10 // bytes
	maxMetadataTotal = 64 << 10 // bytes of all values
)

// sessionStore is the state that a session's peers share. It lives as long as
// the session, and belongs to the room's goroutine. A deleted key stays, with
// null for its value and its version, so that versions never go back.
type sessionStore struct {
	values map[string]protocol.MetadataValue
	bytes  int
}

var null = json.RawMessage("null")

// set changes a value; nil deletes it.
func (s *sessionStore) set(key string, data json.RawMessage, by string) (protocol.MetadataValue, error) {
	old, known := s.values[key]
	if len(data) == 0 {
		data = null
	}
	size := s.bytes - len(old.Data) + len(data)
	switch {
	case key == "" || len(key) > maxMetadataKey:
		return old, protocol.Errorf(protocol.CodeBadRequest, "key must have 1 to %d bytes", maxMetadataKey)
	case len(data) > maxMetadataValue:
		return old, protocol.Errorf(protocol.CodeTooLarge, "value longer than %d bytes", maxMetadataValue)
	case size > maxMetadataTotal:
		return old, protocol.Errorf(protocol.CodeTooLarge, "the session's values are longer than %d bytes together", maxMetadataTotal)
	case !known && len(s.values) >= maxMetadataKeys:
		return old, protocol.Errorf(protocol.CodeTooLarge, "more than %d keys", maxMetadataKeys)
	}
	v := protocol.MetadataValue{
		Key: key, Data: bytes.Clone(data), UpdatedBy: by,
		UpdatedAt: time.Now().UnixMilli(), ChangeVersion: old.ChangeVersion + 1,
	}
	if s.values == nil {
		s.values = map[string]protocol.MetadataValue{}
	}
	s.values[key], s.bytes = v, size
	return v, nil
}

// get returns a value, null if it was never set.
func (s *sessionStore) get(key string) protocol.MetadataValue {
	if v, ok := s.values[key]; ok {
		return v
	}
	return protocol.MetadataValue{Key: key, Data: null}
}

// SetMetadata changes a value of the session store and tells all who observe it.
func (p *Peer) SetMetadata(ctx context.Context, req protocol.SetMetadata) (v protocol.MetadataValue, err error) {
	r := p.room
	if !p.chat.Allow() {
		return v, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		if v, err = r.store.set(req.Key, req.Data, p.ID); err != nil {
			return err
		}
		r.changed()
		change := protocol.MetadataChange{Values: []protocol.MetadataValue{v}}
		r.tell(protocol.OnMetadataChange, change, func(o *Peer) bool { return o.observed[v.Key] })
		return nil
	})
	return v, err
}

// GetMetadata reads a value of the session store.
func (p *Peer) GetMetadata(ctx context.Context, req protocol.GetMetadata) (v protocol.MetadataValue, err error) {
	err = p.doJoined(ctx, func() error {
		v = p.room.store.get(req.Key)
		return nil
	})
	return v, err
}

// ListenMetadata replaces the keys that the peer observes. It is told the values
// of those that are new to it: nothing else fetches them.
func (p *Peer) ListenMetadata(ctx context.Context, req protocol.ListenMetadata) error {
	if len(req.Keys) > maxMetadataKeys {
		return protocol.Errorf(protocol.CodeTooLarge, "more than %d keys", maxMetadataKeys)
	}
	if !p.chat.Allow() { // it is answered with all the values
		return errTooFast
	}
	return p.doJoined(ctx, func() error {
		before := p.observed
		p.observed = make(map[string]bool, len(req.Keys))
		var fresh []string
		for _, key := range req.Keys {
			if len(key) > maxMetadataKey {
				return protocol.Errorf(protocol.CodeBadRequest, "key must have 1 to %d bytes", maxMetadataKey)
			}
			if !p.observed[key] && !before[key] {
				fresh = append(fresh, key)
			}
			p.observed[key] = true
		}
		p.tellMetadata(fresh)
		p.room.changed()
		return nil
	})
}

// tellMetadata sends the values of those keys that have one.
func (p *Peer) tellMetadata(keys []string) {
	var change protocol.MetadataChange
	for _, key := range keys {
		if v, ok := p.room.store.values[key]; ok {
			change.Values = append(change.Values, v)
		}
	}
	if len(change.Values) > 0 {
		p.notify(protocol.OnMetadataChange, change)
	}
}
