package client

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"amphi/server/protocol"
)

// The session store, and people who are not in the state because the room is
// large.

// SetSessionValue changes a value that all peers of the session share; null
// deletes it. It returns what the server made of it.
func (c *Client) SetSessionValue(ctx context.Context, key string, value json.RawMessage) (protocol.MetadataValue, error) {
	var set protocol.MetadataValue
	s, err := c.inRoom()
	if err != nil {
		return set, err
	}
	if err := s.link.request(ctx, protocol.MethodSetMetadata, protocol.SetMetadata{Key: key, Data: value}, &set); err != nil {
		return set, asError(err, "NONE")
	}
	c.store.update(func(t *tx) { t.setShared(key, set.Data) })
	return set, nil
}

// metadataKey is the key of the session's metadata, an older form of the same.
const metadataKey = "default"

// SetSessionMetadata changes the one value that every session has.
func (c *Client) SetSessionMetadata(ctx context.Context, value json.RawMessage) error {
	set, err := c.SetSessionValue(ctx, metadataKey, value)
	if err == nil {
		c.store.update(func(t *tx) { t.setMetadata(set.Data) })
	}
	return err
}

// FetchSessionMetadata reads it into the state.
func (c *Client) FetchSessionMetadata(ctx context.Context) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	var got protocol.MetadataValue
	params := struct {
		Key string `json:"key"`
	}{metadataKey}
	if err := s.link.request(ctx, protocol.MethodGetMetadata, params, &got); err != nil {
		return asError(err, "NONE")
	}
	c.store.update(func(t *tx) { t.setMetadata(got.Data) })
	return nil
}

func (t *tx) setMetadata(value json.RawMessage) {
	t.SessionMetadata = value
	t.markField(fieldMetadata)
}

// ObserveSession begins (on) or ends to follow values of the session store: the
// state has those that are followed.
func (c *Client) ObserveSession(ctx context.Context, keys []string, on bool) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	// The server takes the whole set, so one change after the other.
	select {
	case s.observing <- struct{}{}:
		defer func() { <-s.observing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	observed := maps.Clone(s.observed)
	for _, key := range keys {
		if on {
			observed[key] = true
		} else {
			delete(observed, key)
		}
	}
	all := slices.AppendSeq([]string{}, maps.Keys(observed))
	slices.Sort(all)
	if err := s.link.request(ctx, protocol.MethodListenMetadata, protocol.ListenMetadata{Keys: all}, nil); err != nil {
		return asError(err, "NONE")
	}
	s.observed = observed
	return nil
}

// setShared puts a value of the session store into the state.
func (t *tx) setShared(key string, value json.RawMessage) {
	if len(value) == 0 || string(value) == "null" {
		delete(t.SessionStore, key)
	} else {
		t.SessionStore[key] = value
	}
	t.markEntry(fieldShared, key)
}

// PeerPage is a part of a list of peers.
type PeerPage struct {
	Iterator string `json:"iterator"`
	Total    int    `json:"total"`
	EOF      bool   `json:"eof"`
	Peers    []Peer `json:"peers"`
}

// FindPeers begins a list of the peers that a filter leaves.
func (c *Client) FindPeers(ctx context.Context, filter protocol.FindPeers) (PeerPage, error) {
	return c.peerPage(ctx, protocol.MethodFindPeers, filter)
}

// NextPeers goes on with a list.
func (c *Client) NextPeers(ctx context.Context, iterator string, limit int) (PeerPage, error) {
	return c.peerPage(ctx, protocol.MethodNextPeers, protocol.NextPeers{Iterator: iterator, Limit: limit})
}

func (c *Client) peerPage(ctx context.Context, method string, params any) (PeerPage, error) {
	s, err := c.inRoom()
	if err != nil {
		return PeerPage{}, err
	}
	var got protocol.PeerPage
	if err := s.link.request(ctx, method, params, &got); err != nil {
		return PeerPage{}, asError(err, "NONE")
	}
	page := PeerPage{Iterator: got.Iterator, Total: got.Total, EOF: got.EOF, Peers: []Peer{}}
	for _, p := range got.Peers {
		page.Peers = append(page.Peers, c.known(p))
	}
	return page, nil
}

// known is the peer as the state has it, or as the server describes it.
func (c *Client) known(p protocol.Peer) (peer Peer) {
	c.store.read(func(st *State) {
		var ok bool
		if peer, ok = st.Peers[p.PeerID]; !ok {
			peer = peerOf(named(p, p.PeerID), Peer{AuxiliaryTracks: []string{}})
		}
	})
	return peer
}

// NamesPage is a part of what a search for names found.
type NamesPage struct {
	Offset int    `json:"offset"` // of the next page
	EOF    bool   `json:"eof"`
	Peers  []Peer `json:"peers"`
}

// SearchNames lists peers whose name contains a text, regardless of case.
func (c *Client) SearchNames(ctx context.Context, search protocol.SearchNames) (NamesPage, error) {
	s, err := c.inRoom()
	if err != nil {
		return NamesPage{}, err
	}
	var found protocol.NamesFound
	if err := s.link.request(ctx, protocol.MethodSearchNames, search, &found); err != nil {
		return NamesPage{}, asError(err, "NONE")
	}
	page := NamesPage{Offset: found.Offset, EOF: found.EOF, Peers: []Peer{}}
	for _, p := range found.Peers {
		page.Peers = append(page.Peers, c.known(protocol.Peer{
			PeerID: p.PeerID, Role: p.Role, Info: protocol.PeerInfo{Name: p.Name, Type: p.Type},
		}))
	}
	return page, nil
}
