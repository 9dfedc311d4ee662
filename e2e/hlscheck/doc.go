// Package hlscheck follows a live HLS stream as a careful player would, and holds every playlist and every file against
// the rules of RFC 8216bis that a packager can break: targets that change, segments that move, parts of odd length, hints
// that do not come true, holes in the timeline.
package hlscheck
