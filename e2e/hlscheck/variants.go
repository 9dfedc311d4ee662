package hlscheck

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// variant is a rendition as the multivariant playlist has it.
type variant struct {
	name             string // of its playlist
	peak, average    int    // bit/s
	codecs           string
	width, height    int
	captions, groups string
}

// variantTags must be there: the first by the RFC, the others by what players do without them.
var variantTags = []string{"BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS", "RESOLUTION", "FRAME-RATE"}

// parseVariants reads a multivariant playlist.
func parseVariants(text string) (all []variant, err error) {
	list, err := lines(text)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := 0; i < len(list); i++ {
		tag, value, _ := strings.Cut(list[i], ":")
		switch tag {
		case "#EXT-X-VERSION", "#EXT-X-INDEPENDENT-SEGMENTS":
			if seen[tag] {
				return nil, fmt.Errorf("%s is there twice", tag)
			}
			seen[tag] = true
			continue
		case "#EXT-X-STREAM-INF":
		default:
			return nil, fmt.Errorf("unknown to a multivariant playlist: %s", list[i])
		}
		v, err := parseVariant(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i], err)
		}
		i++
		if i == len(list) || strings.HasPrefix(list[i], "#") {
			return nil, errors.New("EXT-X-STREAM-INF without an address")
		}
		v.name = list[i]
		for _, other := range all {
			if other.name == v.name || other.captions != v.captions || other.groups != v.groups {
				return nil, fmt.Errorf("%s does not go with %s", v.name, other.name)
			}
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, errors.New("no renditions")
	}
	return all, nil
}

func parseVariant(list string) (v variant, err error) {
	a, err := attributes(list)
	if err != nil {
		return v, err
	}
	for _, name := range variantTags {
		if a[name] == "" {
			return v, fmt.Errorf("has no %s", name)
		}
	}
	v.codecs, v.captions, v.groups = a["CODECS"], a["CLOSED-CAPTIONS"], a["AUDIO"]
	var errs [4]error
	v.peak, errs[0] = strconv.Atoi(a["BANDWIDTH"])
	v.average, errs[1] = strconv.Atoi(a["AVERAGE-BANDWIDTH"])
	width, height, _ := strings.Cut(a["RESOLUTION"], "x")
	v.width, errs[2] = strconv.Atoi(width)
	v.height, errs[3] = strconv.Atoi(height)
	if err := errors.Join(errs[:]...); err != nil {
		return v, err
	}
	if v.average > v.peak || v.average == 0 {
		return v, fmt.Errorf("%d bit/s on average, at most %d", v.average, v.peak)
	}
	return v, nil
}
