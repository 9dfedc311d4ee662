package room

import (
	"slices"
	"strings"
	"time"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

const (
	speakerPeriod = 400 * time.Millisecond
	maxSpeakers   = 8
)

// speakerMeter tells the room who speaks, from the audio levels that publishers
// send along with their packets (RFC 6464). It runs only while somebody
// publishes sound, and tells only changes. Owned by the room's goroutine.
type speakerMeter struct {
	timer *time.Timer
	last  []protocol.Speaker
}

// watch starts the meter if there is sound to measure.
func (m *speakerMeter) watch(r *Room) {
	if m.timer == nil && r.publishesAudio() {
		m.timer = r.after(speakerPeriod, func() { m.measure(r) })
	}
}

func (m *speakerMeter) measure(r *Room) {
	m.timer = nil
	speakers := []protocol.Speaker{}
	for _, p := range r.order {
		for _, t := range p.tracks {
			if p.hidden || t.Kind != protocol.Audio || t.Mute || t.media == nil {
				continue
			}
			if level, active := t.media.Level(); active {
				speakers = append(speakers, protocol.Speaker{PeerID: p.ID, TrackID: t.TrackID, Level: loudness(level)})
			}
		}
	}
	slices.SortStableFunc(speakers, func(a, b protocol.Speaker) int { return b.Level - a.Level })
	speakers = speakers[:min(len(speakers), maxSpeakers)]
	r.direct(speakers, time.Now())
	if !slices.Equal(speakers, m.last) {
		m.last = speakers
		r.tell(protocol.OnActiveSpeakers, protocol.ActiveSpeakers{Speakers: speakers}, everybody)
	}
	m.watch(r)
}

func (m *speakerMeter) stop() {
	if m.timer != nil {
		m.timer.Stop()
	}
}

// hear puts microphones into groups of which the SFU forwards the loudest: those that are heard by the same roles, so
// that nobody misses one for the sake of others that are not for him. The sound of shared screens and other sources is
// always forwarded.
func (r *Room) hear() {
	most := r.registry.cfg.Loudest
	if most == 0 {
		return
	}
	microphones := map[string][]*sfu.Track{} // by who hears them
	hearers := map[string]string{}           // by role
	for _, p := range r.order {
		for _, t := range p.tracks {
			if p.hidden || t.Kind != protocol.Audio || t.Source != protocol.SourceRegular || t.media == nil {
				continue
			}
			who, known := hearers[p.role.Name]
			if !known {
				who = r.hearersOf(p.role.Name)
				hearers[p.role.Name] = who
			}
			microphones[who] = append(microphones[who], t.media)
		}
	}
	for who, group := range r.voices {
		if microphones[who] == nil {
			group.Set(nil)
			delete(r.voices, who)
		}
	}
	for who, tracks := range microphones {
		if r.voices[who] == nil {
			r.voices[who] = sfu.NewLoudest(most)
		}
		r.voices[who].Set(tracks)
	}
}

// hearersOf are the names of the roles that hear a role.
func (r *Room) hearersOf(role string) string {
	var names []string
	for name, hearer := range r.rec.Template.Roles {
		if hearer.Sees(role) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}

func (r *Room) publishesAudio() bool {
	for _, p := range r.order {
		for _, t := range p.tracks {
			if t.Kind == protocol.Audio && t.media != nil {
				return true
			}
		}
	}
	return false
}

// loudness maps an RFC 6464 level, 0 (loudest) to 127 (silence) in -dBov, to the
// client's 0–100. Steps of 5 keep small changes from being told.
func loudness(level uint8) int {
	const quietest = 60 // speech is above -60 dBov
	if level >= quietest {
		return 0
	}
	return (quietest - int(level)) * 100 / quietest / 5 * 5
}
