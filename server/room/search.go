package room

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"amphi/server/protocol"
)

const (
	defaultPage   = 10
	maxPage       = 100
	maxIterators  = 8 // of one peer; the oldest is forgotten
	maxSearchText = 256
	maxFilterIDs  = 1000
)

// iterator is a place in the list of peers. It is a number in the order of
// joining, so who comes or goes meanwhile neither hides nor repeats anybody.
type iterator struct {
	id     string
	filter protocol.FindPeers
	after  uint64 // joined after this one
}

func (it *iterator) matches(p *Peer) bool {
	f := &it.filter
	return !p.hidden &&
		(f.Role == "" || p.role.Name == f.Role) &&
		(f.Group == "" || slices.Contains(p.groups, f.Group)) &&
		(len(f.PeerIDs) == 0 || slices.Contains(f.PeerIDs, p.ID))
}

// page returns the next peers of an iterator.
func (r *Room) page(it *iterator, limit int) protocol.PeerPage {
	page := protocol.PeerPage{Iterator: it.id, Peers: []protocol.Peer{}, EOF: true}
	limit = pageSize(limit)
	last := it.after
	for _, p := range r.order {
		if !it.matches(p) {
			continue
		}
		page.Total++
		switch {
		case p.joinNumber <= it.after:
		case len(page.Peers) == limit:
			page.EOF = false
		default:
			page.Peers = append(page.Peers, p.wire(false))
			last = p.joinNumber
		}
	}
	it.after = last
	return page
}

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// FindPeers begins to list the peers that a filter leaves (§3.6.7).
func (p *Peer) FindPeers(ctx context.Context, req protocol.FindPeers) (page protocol.PeerPage, err error) {
	if len(req.PeerIDs) == 0 {
		req.PeerIDs = req.PeersToo
	}
	if len(req.PeerIDs) > maxFilterIDs {
		return page, protocol.Errorf(protocol.CodeTooLarge, "more than %d peer ids", maxFilterIDs)
	}
	if !p.chat.Allow() { // it looks at everybody
		return page, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		p.lastIterator++
		it := &iterator{id: strconv.Itoa(p.lastIterator), filter: req}
		if len(p.iterators) == maxIterators {
			p.iterators = slices.Delete(p.iterators, 0, 1)
		}
		p.iterators = append(p.iterators, it)
		page = p.room.page(it, req.Limit)
		return nil
	})
	return page, err
}

// NextPeers goes on with a list. Without an iterator it is the newest.
func (p *Peer) NextPeers(ctx context.Context, req protocol.NextPeers) (page protocol.PeerPage, err error) {
	if !p.chat.Allow() {
		return page, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		i := len(p.iterators) - 1
		if req.Iterator != "" {
			i = slices.IndexFunc(p.iterators, func(it *iterator) bool { return it.id == req.Iterator })
		}
		if i < 0 {
			return protocol.Errorf(protocol.CodeNotFound, "no such iterator, or too many newer ones: call find-peer again")
		}
		page = p.room.page(p.iterators[i], req.Limit)
		return nil
	})
	return page, err
}

// SearchNames lists the peers whose name contains a text, regardless of case.
func (p *Peer) SearchNames(ctx context.Context, req protocol.SearchNames) (found protocol.NamesFound, err error) {
	switch {
	case len(req.Query) > maxSearchText:
		return found, protocol.Errorf(protocol.CodeTooLarge, "query longer than %d bytes", maxSearchText)
	case req.Offset < 0:
		return found, protocol.Errorf(protocol.CodeBadRequest, "offset below 0")
	case !p.chat.Allow():
		return found, errTooFast
	}
	query := strings.ToLower(req.Query)
	found = protocol.NamesFound{Limit: pageSize(req.Limit), Offset: req.Offset, EOF: true, Peers: []protocol.NameFound{}}
	err = p.doJoined(ctx, func() error {
		matches := 0
		for _, o := range p.room.order {
			if o.hidden || !strings.Contains(strings.ToLower(o.info.Name), query) {
				continue
			}
			matches++
			switch {
			case matches <= req.Offset:
			case len(found.Peers) == found.Limit:
				found.EOF = false
				return nil
			default:
				found.Peers = append(found.Peers, protocol.NameFound{PeerID: o.ID, Name: o.info.Name, Role: o.role.Name, Type: o.info.Type})
				found.Offset++
			}
		}
		return nil
	})
	found.Count = len(found.Peers)
	return found, err
}
