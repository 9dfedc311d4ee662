package bandwidth

import (
	"cmp"
	"slices"
)

// Demand is a picture that a subscriber wants.
type Demand struct {
	// Priority comes before that of others: a shared screen before who speaks, and that before the rest.
	Priority int
	// Rates are those of the layers that come and that are wanted at most, in bit/s, the least first. There is one at
	// least.
	Rates []float64
	// Now is how many of the layers the subscriber gets at present, which is the index of its layer plus one; 0: nothing.
	Now int
}

// reluctance is how much more than it needs has to be left for a better layer than the present one.
const reluctance = 1.15

// Share gives each demand its number of layers, so that together they need no more than the limit. Everybody is seen
// before somebody is seen better, in the order of priority, those who are seen now first where it is the same; then the
// first gets what fits, then the next. Who is seen now gives way for nobody who would not fit for long.
func Share(limit float64, demands []Demand) []int {
	order := make([]int, len(demands))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &demands[a], &demands[b]
		return cmp.Or(y.Priority-x.Priority, min(y.Now, 1)-min(x.Now, 1))
	})
	given := make([]int, len(demands))
	left := limit
	raise := func(i, to int) bool {
		d := &demands[i]
		before := 0.0
		if given[i] > 0 {
			before = d.Rates[given[i]-1]
		}
		more := d.Rates[to-1] - before
		spare := 0.0
		if to > d.Now {
			spare = (reluctance - 1) * d.Rates[to-1]
		}
		if more+spare > left {
			return false
		}
		left -= more
		given[i] = to
		return true
	}
	for _, i := range order {
		raise(i, 1)
	}
	for _, i := range order {
		if given[i] == 0 {
			continue
		}
		for to := len(demands[i].Rates); to > given[i]; to-- {
			if raise(i, to) {
				break
			}
		}
	}
	return given
}
