package rtc

import "strings"

// withDTX asks for discontinuous transmission of Opus: a silent microphone
// sends next to nothing. Offers of browsers do not ask for it by themselves.
func withDTX(sdp string) string {
	if strings.Contains(sdp, "usedtx=1") {
		return sdp
	}
	return strings.ReplaceAll(sdp, "useinbandfec=1", "useinbandfec=1;usedtx=1")
}

// msid names a track as its publisher did.
type msid struct{ stream, track string }

// trackOf finds the msid of the media section with the given mid: the ids that
// the publisher gave its track. A browser's own track id is another one where a
// section is used for a second track (and always in Firefox).
func trackOf(sdp, mid string) (streamID, trackID string, ok bool) {
	found, ok := tracksOf(sdp)[mid]
	return found.stream, found.track, ok
}

// tracksOf finds the msids of all media sections, by mid.
func tracksOf(sdp string) map[string]msid {
	tracks := map[string]msid{}
	var mid string
	var id msid
	inSection, hasMid, hasID := false, false, false
	end := func() {
		if hasMid && hasID {
			tracks[mid] = id
		}
		hasMid, hasID = false, false
	}
	for line := range strings.Lines(sdp) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "m="):
			end()
			inSection = true
		case !inSection:
		case strings.HasPrefix(line, "a=mid:"):
			mid, hasMid = strings.TrimPrefix(line, "a=mid:"), true
		case strings.HasPrefix(line, "a=msid:") && !hasID:
			id.stream, id.track, hasID = strings.Cut(strings.TrimPrefix(line, "a=msid:"), " ")
		}
	}
	end()
	return tracks
}

// keepReceivers makes the idle sections of an offer that are known already
// ones in which the other side receives. For a client that only receives that
// is the same, and the answer is: inactive. Pion, however, stops a section's
// receiver each time it is offered inactive, but makes a new one only the first
// time: a track that gets the section after the second such offer would never
// be heard of.
func keepReceivers(offer string, known func(mid string) bool) string {
	const media, idle = "\nm=", "\na=inactive"
	sections := strings.Split(offer, media)
	for i, section := range sections[1:] {
		_, mid, ok := strings.Cut(section, "\na=mid:")
		mid, _, _ = strings.Cut(mid, "\n")
		if ok && known(strings.TrimRight(mid, "\r")) {
			sections[i+1] = strings.Replace(section, idle, "\na=recvonly", 1)
		}
	}
	return strings.Join(sections, media)
}
