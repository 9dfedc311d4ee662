// Package probe measures the glass-to-glass delay of live video: a camera films a clock, a reader finds the clock
// again in a playing video on the other end. Both run in the browser; this package holds their source and the
// shape of what they report.
package probe

import _ "embed"

// Source is a classic script that defines the global LatencyProbe; its head says how it is used.
//
//go:embed latency-probe.js
var Source string

// Summary is what a reader measured since its last reset. Times are in milliseconds.
type Summary struct {
	Count      int     `json:"count"` // pictures whose clock was read, repeated ones left out
	Min        float64 `json:"min"`
	P50        float64 `json:"p50"`
	P95        float64 `json:"p95"`
	P99        float64 `json:"p99"`
	Max        float64 `json:"max"`
	FPS        float64 `json:"fps"`
	Frames     int     `json:"frames"`     // pictures shown
	Unreadable int     `json:"unreadable"` // of these, without any readable panel
	Duplicates int     `json:"duplicates"` // panels that showed the same clock as before
	MaxGap     float64 `json:"maxGap"`     // longest pause between two pictures
	Freezes    int     `json:"freezes"`    // pauses of more than 250 ms
	Size       string  `json:"size"`       // of the picture, "1280x720"
	IDs        []int   `json:"ids"`        // cameras seen, ascending
}
