package rtc

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall/js"

	"amphi/wasm/jsbridge"
)

// Stats is what the connection measured up to now.
func (c *Conn) Stats(ctx context.Context) ([]Stat, error) {
	report, err := jsbridge.CallAsync(ctx, c.raw, "getStats")
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	// One crossing of text costs less than one for each of a thousand values.
	values, err := jsbridge.Call(js.Global().Get("Array"), "from", report.Call("values"))
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	text, err := jsbridge.Call(js.Global().Get("JSON"), "stringify", values)
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	var stats []Stat
	if err := json.Unmarshal([]byte(text.String()), &stats); err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	names := c.trackNames()
	for _, s := range stats {
		if name, ok := names[s.Text("mid")]; ok {
			s["trackIdentifier"] = name
		}
	}
	return stats, nil
}

// trackNames are the publishers' ids of tracks by the mid of their sections:
// the browser's own are others where a device was changed or a section reused.
func (c *Conn) trackNames() map[string]string {
	names := map[string]string{}
	remote := ""
	if d := c.raw.Get("remoteDescription"); d.Truthy() {
		remote = d.Get("sdp").String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	transceivers := c.raw.Call("getTransceivers")
	for i := range transceivers.Length() {
		t := transceivers.Index(i)
		if t.Get("mid").Type() != js.TypeString {
			continue
		}
		mid, sender := t.Get("mid").String(), t.Get("sender")
		if _, track, ok := trackOf(remote, mid); ok {
			names[mid] = track
		}
		for local, own := range c.senders {
			if own.Equal(sender) {
				names[mid] = local.ID
			}
		}
	}
	return names
}
