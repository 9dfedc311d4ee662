package room

import "context"

// Brought counts who is in the room: those whom the composed page of that token has brought, and
// those whom no page has.
func (r *Room) Brought(ctx context.Context, page string) (brought, others int, err error) {
	err = r.do(ctx, func() error {
		for _, p := range r.order {
			switch {
			case p.hidden:
			case p.page == page:
				brought++
			case p.page == "": // whom a page brought that is not shown any more is about to leave
				others++
			}
		}
		return nil
	})
	return brought, others, err
}
