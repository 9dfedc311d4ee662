package account

import (
	"cmp"
	"context"

	"amphi/server/store"
)

// Bounds of what an entry of the audit log says, in bytes.
const maxWhat = 500

// Note writes to the audit log that a member did something. A member without id is somebody who is not signed in.
func (a *Accounts) Note(ctx context.Context, m Member, action, what, address string) error {
	return a.Store.AddAudit(ctx, store.AuditEntry{ID: store.NewID(), WorkspaceID: m.WorkspaceID, MemberID: m.ID, Member: cmp.Or(m.Name, m.Email),
		Action: action, What: what[:min(len(what), maxWhat)], Address: address, CreatedAt: a.now()})
}
