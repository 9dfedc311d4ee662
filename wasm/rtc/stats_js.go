package rtc

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall/js"
	"time"

	"amphi/wasm/jsbridge"
)

// A stage of twenty-five is more than a hundred entries of up to sixty values. They are read in parts, between which the
// page gets its turn: all at once held it for more than 100 ms.
const (
	statsPart  = 20
	statsPause = time.Millisecond
)

// statsRead are the types of entries that are read; nobody asks for the others.
var statsRead = map[string]bool{
	"inbound-rtp": true, "outbound-rtp": true, "remote-inbound-rtp": true, "codec": true,
	"transport": true, "candidate-pair": true, "local-candidate": true, "remote-candidate": true,
}

// Stats is what the connection measured up to now. Only values of the given names are read, all if there are none: each costs
// time when it comes over to Go.
func (c *Conn) Stats(ctx context.Context, only ...string) ([]Stat, error) {
	report, err := jsbridge.CallAsync(ctx, c.raw, "getStats")
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	values, err := jsbridge.Call(js.Global().Get("Array"), "from", report.Call("values"))
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	names := js.Null()
	if len(only) > 0 {
		names = js.Global().Get("Array").New()
		for _, name := range only {
			names.Call("push", name)
		}
	}
	var stats []Stat
	part := js.Global().Get("Array").New()
	for i, n := 0, values.Length(); i < n; i++ {
		if entry := values.Index(i); statsRead[entry.Get("type").String()] {
			part.Call("push", entry)
		}
		if part.Length() < statsPart && i < n-1 {
			continue
		}
		read, err := readStats(part, names)
		if err != nil {
			return nil, err
		}
		stats = append(stats, read...)
		part = js.Global().Get("Array").New()
		if i < n-1 {
			time.Sleep(statsPause)
		}
	}
	tracks := c.trackNames()
	for _, s := range stats {
		if name, ok := tracks[s.Text("mid")]; ok {
			s["trackIdentifier"] = name
		}
	}
	return stats, nil
}

// readStats reads values of the given names, all if that is null: one crossing of text costs less than one for each value.
func readStats(entries, names js.Value) (stats []Stat, err error) {
	text, err := jsbridge.Call(js.Global().Get("JSON"), "stringify", entries, names)
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	if err := json.Unmarshal([]byte(text.String()), &stats); err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	return stats, nil
}

// trackNames are the publishers' ids of tracks by the mid of their sections:
// the browser's own are others where a device was changed or a section reused.
func (c *Conn) trackNames() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make(map[string]string, len(c.msids))
	for mid, id := range c.msids {
		names[mid] = id.track
	}
	if len(c.senders) == 0 {
		return names
	}
	transceivers := c.raw.Call("getTransceivers")
	for i := range transceivers.Length() {
		t := transceivers.Index(i)
		if t.Get("mid").Type() != js.TypeString {
			continue
		}
		mid, sender := t.Get("mid").String(), t.Get("sender")
		for local, own := range c.senders {
			if own.Equal(sender) {
				names[mid] = local.ID
			}
		}
	}
	return names
}
