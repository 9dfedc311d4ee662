package room

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"amphi/server/protocol"
)

// Observer hears of what happens in rooms besides who is there: refusals, tracks, what is said, and what clients tell of themselves.
type Observer interface {
	// Refused may block: it is called as records are written, in order with them.
	Refused(ctx context.Context, s Session, p Stay, f Refusal) error
	// What follows must not block: all but Reported is called on the room's goroutine.
	TrackChanged(i Info, p Stay, c TrackChange)
	Said(i Info, s Saying)
	Reported(i Info, p Stay, r protocol.Analytics)
}

// Refusal says what somebody wanted in vain.
type Refusal struct {
	Of      Act
	At      time.Time
	By      string // peer id of who wanted it; empty for the API
	Role    string // the wanted one, with RoleChangeRefused
	Ending  Ending // with EndRefused
	Code    int    // as it was answered
	Message string
}

// Act is what can be refused.
type Act int

// The acts whose refusal is told.
const (
	JoinRefused Act = iota
	LeaveRefused
	RoleChangeRefused
	EndRefused
)

// Messages of a Refusal, in the words of the webhooks.
const (
	refusedRole      = "role not allowed"
	refusedID        = "duplicate peer id"
	refusedNetwork   = "network disconnection"
	refusedNotJoined = "Peer not joined"
)

// TrackChange says what became of a track.
type TrackChange struct {
	Of      TrackAct
	At      time.Time
	Track   protocol.Track
	Started time.Time
}

// TrackAct is what can become of a track.
type TrackAct int

// The acts of a TrackChange.
const (
	TrackAdded TrackAct = iota
	TrackUpdated
	TrackRemoved
)

// Bounds of what one room, and one peer, make an observer hear: whoever is refused can try again at once, and a mute
// button can be held down.
const (
	refusalsPerSecond, refusalBurst = 1, 20
	reportsPerMinute                = 200 // which clients keep to
	reportBytesPerSecond            = 4 << 10
	reportByteBurst                 = 256 << 10
)

func newRefusalLimiter() *rate.Limiter { return rate.NewLimiter(refusalsPerSecond, refusalBurst) }

func newReportLimiter() *rate.Limiter {
	return rate.NewLimiter(reportsPerMinute/60., reportsPerMinute)
}

func newReportByteLimiter() *rate.Limiter {
	return rate.NewLimiter(reportBytesPerSecond, reportByteBurst)
}

// refused tells of a refusal. It runs on the room's goroutine.
func (r *Room) refused(p Stay, f Refusal) {
	o := r.registry.cfg.Observer
	if o == nil || !r.refusals.Allow() {
		return
	}
	f.At = time.Now()
	r.journal.add("refusal", func(ctx context.Context) error { return o.Refused(ctx, r.session, p, f) })
}

// tracksChanged tells of tracks. It runs on the room's goroutine.
func (p *Peer) tracksChanged(of TrackAct, tracks ...*track) {
	o := p.room.registry.cfg.Observer
	if o == nil {
		return
	}
	for _, t := range tracks {
		if p.reports.Allow() {
			o.TrackChanged(p.room.Info(), p.stay(), TrackChange{Of: of, At: time.Now(), Track: t.Track, Started: t.started})
		}
	}
}

// Report takes what the client tells of itself and its media. What is too much is dropped.
func (p *Peer) Report(ctx context.Context, req protocol.Analytics) error {
	o := p.room.registry.cfg.Observer
	if o == nil || !p.reports.Allow() || !p.reportBytes.AllowN(time.Now(), len(req.Info)) {
		return nil
	}
	var stay Stay
	err := p.room.do(ctx, func() error { stay = p.stay(); return nil })
	if err == nil {
		o.Reported(p.room.Info(), stay, req)
	}
	return err
}
