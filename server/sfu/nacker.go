package sfu

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	nackReorder = 4 * time.Millisecond  // a gap younger than this may be reordering
	nackAgain   = 60 * time.Millisecond // between requests for the same packet
	nackTries   = 8
	nackGap     = 200 // more packets lost at once are not asked for: a key frame is cheaper
)

// nacker finds the packets that a publisher has to send again. It is driven
// by arrivals alone: a loss shows when a later packet comes, and while none
// comes there is nobody to ask.
type nacker struct {
	started bool
	highest extSeq
	missing []gap // by ext, oldest first
}

type gap struct {
	ext   extSeq
	due   time.Time
	tries int
}

// arrived counts a packet in. lost says that more is missing than is asked for.
func (n *nacker) arrived(ext extSeq, now time.Time) (lost bool) {
	switch {
	case !n.started:
		n.started, n.highest = true, ext
	case ext > n.highest:
		if ext-n.highest > nackGap {
			n.missing, lost = n.missing[:0], true
		} else {
			for e := n.highest + 1; e < ext; e++ {
				n.missing = append(n.missing, gap{ext: e, due: now.Add(nackReorder)})
			}
		}
		n.highest = ext
	default:
		for i := range n.missing {
			if n.missing[i].ext == ext {
				n.missing = append(n.missing[:i], n.missing[i+1:]...)
				break
			}
		}
	}
	if over := len(n.missing) - nackGap; over > 0 {
		n.missing = append(n.missing[:0], n.missing[over:]...)
		lost = true
	}
	return lost
}

// request returns the packets to ask for now. given up are those that were
// asked for often enough.
func (n *nacker) request(now time.Time) (pairs []rtcp.NackPair, count int, givenUp bool) {
	if len(n.missing) == 0 {
		return nil, 0, false
	}
	var seqs []uint16
	kept := n.missing[:0]
	for _, g := range n.missing {
		if !g.due.After(now) {
			if g.tries == nackTries {
				givenUp = true
				continue
			}
			g.tries++
			g.due = now.Add(nackAgain)
			seqs = append(seqs, uint16(g.ext))
		}
		kept = append(kept, g)
	}
	n.missing = kept
	if len(seqs) == 0 {
		return nil, 0, givenUp
	}
	return rtcp.NackPairsFromSequenceNumbers(seqs), len(seqs), givenUp
}
