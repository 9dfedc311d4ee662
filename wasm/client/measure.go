package client

import (
	"context"
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// measureEvery is the SDK's interval, which its applications' graphs expect.
const measureEvery = time.Second

const lastReportsWithin = time.Second

// measure reads, from joining to the end, what the connections measure: for
// reports to the server, if it wants them, and for the application, while it
// watches.
func (s *session) measure() {
	var reports []*report
	if s.init.flag(flagPublishStats) {
		reports = append(reports, newReport(protocol.ReportPublisherStats, s.init.Config.PublishStats))
	}
	if s.init.flag(flagSubscribeStats) {
		reports = append(reports, newReport(protocol.ReportSubscriberStats, s.init.Config.SubscribeStats))
	}
	ticker := time.NewTicker(s.timing.measureEvery)
	defer ticker.Stop()
	defer close(s.reported)
	var before Figures
	var up, down flow
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.leaving:
			for _, r := range reports {
				s.send(r)
			}
			return
		case <-ticker.C:
		}
		watched := s.c.watchesFigures()
		if !watched && len(reports) == 0 {
			continue
		}
		var only []string
		if !watched {
			only = reported
		}
		before = s.figures(before, only)
		own := before.Peers[s.peerID]
		if upStops, downStops := up.stops(own.Publish), down.stops(own.Subscribe); upStops || downStops {
			s.link.doubt() // browsers take some seconds longer to see it
		}
		if watched {
			s.c.store.tell(before)
		}
		for _, r := range reports {
			s.gather(r, before)
			if r.tick(time.Now()) {
				s.send(r)
			}
		}
	}
}

// flow is whether packets come on a connection. What is sent there is answered with reports, so they come on both.
type flow struct {
	bytes float64 // so far
	steps int     // looks in a row that saw more; below 0: that saw no more
}

const (
	steadySteps = 3
	stillSteps  = 2
)

// stops takes what was measured, and says whether what came steadily has just stopped.
func (f *flow) stops(pair rtc.Stat) bool {
	bytes, ok := pair.Number("bytesReceived")
	switch more := bytes != f.bytes; {
	case !ok:
		*f = flow{}
	case more && f.steps >= 0:
		f.bytes, f.steps = bytes, min(f.steps+1, steadySteps)
	case more:
		*f = flow{bytes, 1}
	case f.steps == steadySteps:
		f.steps = -1
	case f.steps > 0:
		f.steps = 0
	case f.steps < 0 && f.steps > -stillSteps:
		f.steps--
		return f.steps == -stillSteps
	}
	return false
}

// figures measures now; only names the values that somebody wants, nil all.
func (s *session) figures(before Figures, only []string) (now Figures) {
	read := func(conn *rtc.Conn) []rtc.Stat {
		if conn == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		defer cancel()
		stats, err := conn.Stats(ctx, only...)
		if err != nil && s.ctx.Err() == nil {
			s.c.log.Debug("statistics", "err", err)
		}
		return stats
	}
	s.pub.mu.Lock()
	pub := s.pub.conn
	s.pub.mu.Unlock()
	s.sub.mu.Lock()
	sub := s.sub.conn
	s.sub.mu.Unlock()
	sent, received := read(pub), read(sub)
	s.c.store.read(func(st *State) { now = figuresOf(st, sent, received, before) })
	return now
}

func (s *session) gather(r *report, f Figures) {
	s.c.store.read(func(st *State) {
		if r.name == protocol.ReportSubscriberStats {
			for _, id := range sortedKeys(f.RemoteTracks) {
				r.add(st.Tracks[id], f.RemoteTracks[id])
			}
			return
		}
		for _, id := range sortedKeys(f.LocalTracks) {
			for _, layer := range f.LocalTracks[id] {
				r.add(st.Tracks[id], layer)
			}
		}
	})
}

// lastReports sends what was measured since the last report, and waits for it a
// little: the socket is closed next.
func (s *session) lastReports() {
	close(s.leaving)
	timer := time.NewTimer(lastReportsWithin)
	defer timer.Stop()
	select {
	case <-s.reported:
	case <-timer.C:
	}
}

func (s *session) send(r *report) {
	var joinedAt int64
	s.c.store.read(func(st *State) { joinedAt = st.Room.JoinedAt })
	if info := r.take(time.Now(), joinedAt); info != nil {
		s.link.notify(s.ctx, protocol.MethodAnalytics, map[string]any{
			"name": r.name, "info": info, "timestamp": time.Now().UnixMilli(),
		})
	}
}

// WatchFigures: from now on the Sink is told what is measured.
func (c *Client) WatchFigures() {
	c.mu.Lock()
	c.watching = true
	c.mu.Unlock()
}

func (c *Client) watchesFigures() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watching
}
