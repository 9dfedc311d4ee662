package logtest

import (
	"strings"
	"sync"
	"testing"
)

func TestJournal(t *testing.T) {
	var j Journal
	var writing sync.WaitGroup
	for range 4 {
		writing.Go(func() { j.Log().Info("hello", "n", 1) })
	}
	_ = j.String() // meanwhile
	writing.Wait()
	if n := strings.Count(j.String(), "msg=hello n=1"); n != 4 {
		t.Errorf("%d of 4 records in %q", n, j.String())
	}
}
