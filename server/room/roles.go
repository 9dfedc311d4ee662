package room

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// roleOfferLife is how long an asked role change can be accepted.
const roleOfferLife = 5 * time.Minute

// roleOffer is an asked role change that waits for its target's answer.
type roleOffer struct {
	token string
	role  string
	by    string // peer id of who asked
	until time.Time
}

// RequestRoleChange asks a peer to take a role, or forces it, or forces all who
// have one of some roles (§3.6.5).
func (p *Peer) RequestRoleChange(ctx context.Context, req protocol.RoleChangeRequest) error {
	r := p.room
	return p.doJoined(ctx, func() error {
		if !p.role.Permissions.ChangeRole {
			return errNotAllowed
		}
		role := r.role(req.Role)
		if role == nil {
			return errNoRole
		}
		if req.RequestedFor == "" {
			for _, o := range slices.Clone(r.order) {
				if !o.hidden && slices.Contains(req.Roles, o.role.Name) {
					if err := r.setRole(o, role, p.ID); err != nil {
						return err
					}
				}
			}
			return nil
		}
		target := r.visible(req.RequestedFor)
		if target == nil {
			return errNoPeer
		}
		if req.Force {
			return r.setRole(target, role, p.ID)
		}
		offer := roleOffer{token: rand.Text(), role: role.Name, by: p.ID, until: time.Now().Add(roleOfferLife)}
		r.roleTokens[target.ID] = offer // one pending offer a peer: the latest
		target.notify(protocol.OnRoleChangeRequest, protocol.RoleChange{RequestedBy: p.ID, Role: role.Name, Token: offer.token})
		return nil
	})
}

// AcceptRole takes the role that the peer was asked to take.
func (p *Peer) AcceptRole(ctx context.Context, req protocol.RoleChange) error {
	r := p.room
	return p.doJoined(ctx, func() error {
		offer, ok := r.roleTokens[p.ID]
		if !ok || offer.token != req.Token || offer.role != req.Role || time.Now().After(offer.until) {
			return errStaleToken
		}
		delete(r.roleTokens, p.ID)
		return r.setRole(p, r.role(offer.role), offer.by)
	})
}

// setRole moves a peer to another role and thereby, perhaps, to another level.
// Order matters (§7.5): the peer learns its policy first, then the others of the
// peer. What the new role may not publish ends here, whatever the client does.
// by is the peer id of who wants it, empty for the API.
func (r *Room) setRole(p *Peer, role *policy.Role, by string) error {
	if p.role == role {
		return nil
	}
	if err := r.roleHasPlace(role); err != nil {
		r.refused(p.stay(), Refusal{Of: RoleChangeRefused, By: by, Role: role.Name, Message: ErrRoleFull.Message})
		return err
	}
	p.log.Info("role changed", "from", p.role.Name, "to", role.Name)
	p.role = role
	p.sendPolicy()
	stay, change := p.stay(), RoleChange{At: time.Now(), By: by}
	r.journal.add("role changed", func(ctx context.Context) error {
		return r.registry.cfg.Records.RoleChanged(ctx, r.session, stay, change)
	})

	removed := map[string]protocol.Track{}
	p.tracks = slices.DeleteFunc(p.tracks, func(t *track) bool {
		if role.MayPublish(string(t.Kind), t.Source) {
			return false
		}
		p.tracksChanged(TrackRemoved, t)
		removed[t.TrackID] = t.Track
		p.withdrawn[t.TrackID] = true
		return true
	})
	if len(removed) > 0 {
		r.tell(protocol.OnTrackRemove, protocol.TrackEvent{Tracks: removed, Peer: p.wire(false)}, allBut(p))
	}
	r.announceChange(p, false)
	r.stageDirty = true
	r.changed()
	p.dropIfIdle()
	return nil
}

// roleHasPlace refuses a role that has reached its maxPeerCount.
func (r *Room) roleHasPlace(role *policy.Role) error {
	if role.MaxPeerCount == 0 {
		return nil
	}
	n := 0
	for _, p := range r.peers {
		if p.role == role && (p.phase == joined || p.phase == joining) {
			n++
		}
	}
	if n >= role.MaxPeerCount {
		return ErrRoleFull
	}
	return nil
}
