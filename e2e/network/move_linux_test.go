package network

import (
	"testing"
	"time"
)

// TestMove: somebody's address changes in the middle of a call, the viewer's first, then the broadcaster's. All that
// they had open is dead, the socket too, and nothing tells them.
func TestMove(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	room := l.room("move")
	begin := time.Now()
	ann, vic := l.enter(room, broadcaster, "ann"), l.enter(room, viewer, "vic")
	vic.watches(begin)
	for _, who := range []*person{vic, ann} {
		moved := time.Now()
		if err := who.Move(); err != nil {
			t.Fatal(err)
		}
		const onTheWay = 500 * time.Millisecond // pictures that were sent before
		recovery := vic.watches(moved.Add(onTheWay)) + onTheWay
		figure(t, "move."+who.Name+".recovery", millis(recovery), "ms")
	}
}
