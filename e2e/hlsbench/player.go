package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// playlist is what a player needs of a media playlist.
type playlist struct {
	next     int // media sequence number of the segment that is not there yet
	open     int // parts of it that are
	segments []file
	parts    []file
}

// file is a part or a segment, and when its last picture was composed.
type file struct {
	name string
	end  time.Time
}

// parse reads a media playlist. It trusts the server: the rules are for hlscheck to judge.
func parse(text string) (p playlist, err error) {
	var edge time.Time // the end of what was read
	var began time.Time
	var length time.Duration
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		tag, value, _ := strings.Cut(line, ":")
		switch {
		case line == "":
		case line[0] != '#':
			began = began.Add(length)
			p.segments = append(p.segments, file{line, began})
			p.next++
			p.open, edge = 0, began
		case tag == "#EXT-X-MEDIA-SEQUENCE":
			p.next, err = strconv.Atoi(value)
		case tag == "#EXT-X-PROGRAM-DATE-TIME":
			began, err = time.Parse(time.RFC3339Nano, value)
			edge = began
		case tag == "#EXTINF":
			seconds, _, _ := strings.Cut(value, ",")
			length, err = duration(seconds)
		case tag == "#EXT-X-PART":
			var d time.Duration
			d, err = duration(attribute(value, "DURATION="))
			edge = edge.Add(d)
			p.parts = append(p.parts, file{attribute(value, "URI="), edge})
			p.open++
		}
		if err != nil {
			return p, fmt.Errorf("playlist: %q: %w", line, err)
		}
	}
	return p, nil
}

func duration(seconds string) (time.Duration, error) {
	s, err := strconv.ParseFloat(seconds, 64)
	return time.Duration(s * float64(time.Second)), err
}

// attribute is the value after a name that ends with an equals sign.
func attribute(list, name string) string {
	_, value, _ := strings.Cut(list, name)
	if text, quoted := strings.CutPrefix(value, `"`); quoted {
		value, _, _ = strings.Cut(text, `"`)
		return value
	}
	value, _, _ = strings.Cut(value, ",")
	return value
}

func load(ctx context.Context, web *http.Client, address string) (playlist, error) {
	text, err := get(ctx, web, address)
	if err != nil {
		return playlist{}, err
	}
	return parse(text)
}

// beside is the address of a file that a playlist names.
func beside(playlist, name string) string {
	return playlist[:strings.LastIndexByte(playlist, '/')+1] + name
}

// followParts is a player of the low-latency variant: each playlist is asked for with the next part.
func followParts(ctx context.Context, web *http.Client, address string, s *seen) error {
	p, err := load(ctx, web, address)
	for err == nil {
		if p, err = load(ctx, web, fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", address, p.next, p.open)); err != nil {
			break
		}
		s.requests++
		if len(p.parts) == 0 {
			return fmt.Errorf("%s has no parts", address)
		}
		err = s.fetch(ctx, web, address, p.parts[len(p.parts)-1])
	}
	return err
}

// followSegments is a player that knows segments only, and asks for the playlist every half of one.
func followSegments(ctx context.Context, web *http.Client, address string, s *seen) error {
	last := ""
	for {
		p, err := load(ctx, web, address)
		if err != nil {
			return err
		}
		s.requests++
		if n := len(p.segments); n > 0 && p.segments[n-1].name != last {
			last = p.segments[n-1].name
			if err := s.fetch(ctx, web, address, p.segments[n-1]); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (s *seen) fetch(ctx context.Context, web *http.Client, address string, f file) error {
	body, err := get(ctx, web, beside(address, f.name))
	if err != nil {
		return err
	}
	s.requests++
	s.take(len(body), f.end)
	return nil
}
