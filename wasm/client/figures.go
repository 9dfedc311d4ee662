package client

import (
	"maps"
	"strings"

	"amphi/wasm/rtc"
)

// Figures is what is measured of the media, in the shape of the SDK's
// HMSStatsStore. Entries are those of the browser (webrtc-stats), completed by
// what follows from two of them: rates.
type Figures struct {
	RemoteTracks map[string]rtc.Stat   `json:"remoteTrackStats"`
	LocalTracks  map[string][]rtc.Stat `json:"localTrackStats"` // one a layer
	Peers        map[string]PeerFigure `json:"peerStats"`       // of the local peer only
	LocalPeer    struct {
		ID         string `json:"id"`
		VideoTrack string `json:"videoTrack,omitempty"`
		AudioTrack string `json:"audioTrack,omitempty"`
	} `json:"localPeer"`
}

// PeerFigure is what is measured of the two connections; nil: there is none.
type PeerFigure struct {
	Publish   rtc.Stat `json:"publish,omitempty"`
	Subscribe rtc.Stat `json:"subscribe,omitempty"`
}

// figuresOf makes figures of what both connections report. before is what it
// made of the last reports, from which rates are counted.
func figuresOf(st *State, publish, subscribe []rtc.Stat, before Figures) Figures {
	f := Figures{RemoteTracks: map[string]rtc.Stat{}, LocalTracks: map[string][]rtc.Stat{}, Peers: map[string]PeerFigure{}}
	local := st.LocalPeer()
	f.LocalPeer.ID, f.LocalPeer.VideoTrack, f.LocalPeer.AudioTrack = local.ID, local.VideoTrack, local.AudioTrack
	f.localTracks(st, publish, before)
	f.remoteTracks(st, subscribe, before)

	last := before.Peers[local.ID]
	var peer PeerFigure
	if pair := selectedPair(publish); pair != nil {
		sent := 0.0
		for _, s := range publish {
			if s.Text("type") == "outbound-rtp" {
				bytes, _ := s.Number("bytesSent")
				sent += bytes
			}
		}
		pair["outboundRtpBytesSent"] = sent
		pair["bitrate"] = 8 * rate("outboundRtpBytesSent", pair, last.Publish)
		peer.Publish = pair
	}
	if pair := selectedPair(subscribe); pair != nil {
		lost, jitter := 0.0, 0.0
		for _, s := range subscribe {
			if n, ok := s.Number("packetsLost"); ok {
				lost += n
			}
			if j, ok := s.Number("jitter"); ok {
				jitter = max(jitter, j)
			}
		}
		pair["packetsLost"], pair["jitter"] = lost, jitter
		pair["packetsLostRate"] = rate("packetsLost", pair, last.Subscribe)
		pair["bitrate"] = 8 * rate("bytesReceived", pair, last.Subscribe)
		peer.Subscribe = pair
	}
	if local.ID != "" {
		f.Peers[local.ID] = peer
	}
	return f
}

func (f *Figures) localTracks(st *State, stats []rtc.Stat, before Figures) {
	byID, remotes := index(stats), map[string]rtc.Stat{}
	for _, s := range stats {
		if s.Text("type") == "remote-inbound-rtp" {
			remotes[s.Text("localId")] = s
		}
	}
	for _, s := range stats {
		track, known := st.Tracks[s.Text("trackIdentifier")]
		if s.Text("type") != "outbound-rtp" || !known {
			continue
		}
		last := find(before.LocalTracks[track.ID], s.Text("id"))
		entry := f.complete(st, s, track, byID)
		entry["bitrate"] = 8 * rate("bytesSent", entry, last)
		if remote := remotes[s.Text("id")]; remote != nil {
			for _, key := range []string{"packetsLost", "jitter", "roundTripTime", "totalRoundTripTime"} {
				if v, ok := remote[key]; ok {
					entry[key] = v
				}
			}
		}
		f.LocalTracks[track.ID] = append(f.LocalTracks[track.ID], entry)
	}
}

func (f *Figures) remoteTracks(st *State, stats []rtc.Stat, before Figures) {
	byID := index(stats)
	for _, s := range stats {
		track, known := st.Tracks[s.Text("trackIdentifier")]
		if s.Text("type") != "inbound-rtp" || !known {
			continue
		}
		entry := f.complete(st, s, track, byID)
		last := before.RemoteTracks[track.ID]
		entry["bitrate"] = 8 * rate("bytesReceived", entry, last)
		entry["packetsLostRate"] = rate("packetsLost", entry, last)
		f.RemoteTracks[track.ID] = entry
	}
}

// complete adds whose track it is, and the codec's name.
func (f *Figures) complete(st *State, s rtc.Stat, track Track, byID map[string]rtc.Stat) rtc.Stat {
	entry := maps.Clone(s)
	entry["peerID"], entry["enabled"] = track.PeerID, track.Enabled
	entry["peerName"] = st.Peers[track.PeerID].Name
	if _, name, ok := strings.Cut(byID[s.Text("codecId")].Text("mimeType"), "/"); ok {
		entry["codec"] = name
	}
	return entry
}

// selectedPair is the pair of candidates in use, with both of them.
func selectedPair(stats []rtc.Stat) rtc.Stat {
	byID := index(stats)
	var pair rtc.Stat
	for _, s := range stats {
		switch {
		case s.Text("type") == "transport" && byID[s.Text("selectedCandidatePairId")] != nil:
			pair = byID[s.Text("selectedCandidatePairId")]
		case s.Text("type") == "candidate-pair" && (s["selected"] == true || s["nominated"] == true) && pair == nil: // Firefox, Pion
			pair = s
		}
	}
	if pair == nil {
		return nil
	}
	pair = maps.Clone(pair)
	for key, id := range map[string]string{"localCandidate": "localCandidateId", "remoteCandidate": "remoteCandidateId"} {
		if candidate := byID[pair.Text(id)]; candidate != nil {
			pair[key] = candidate
		}
	}
	return pair
}

func index(stats []rtc.Stat) map[string]rtc.Stat {
	byID := make(map[string]rtc.Stat, len(stats))
	for _, s := range stats {
		byID[s.Text("id")] = s
	}
	return byID
}

func find(list []rtc.Stat, id string) rtc.Stat {
	for _, s := range list {
		if s.Text("id") == id {
			return s
		}
	}
	return nil
}

// rate is how much a counter grew a second; 0 where that is not known.
func rate(key string, now, before rtc.Stat) float64 {
	new, ok1 := now.Number(key)
	old, ok2 := before.Number(key)
	t, ok3 := now.Number("timestamp") // milliseconds
	t0, ok4 := before.Number("timestamp")
	if !ok1 || !ok2 || !ok3 || !ok4 || t <= t0 {
		return 0
	}
	return (new - old) / (t - t0) * 1000
}
