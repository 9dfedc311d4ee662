package bandwidth

import (
	"slices"
	"testing"
)

func TestShare(t *testing.T) {
	const k = 1000
	layers := []float64{100 * k, 400 * k, 1500 * k}
	person := func(now int) Demand { return Demand{Rates: layers, Now: now} }
	speaker := func(now int) Demand { return Demand{Priority: 1, Rates: layers, Now: now} }
	screen := func(now int) Demand { return Demand{Priority: 2, Rates: []float64{800 * k}, Now: now} }
	for _, x := range []struct {
		name    string
		limit   float64
		demands []Demand
		want    []int
	}{
		{"nobody", 1000 * k, nil, nil},
		{"all fits", 5000 * k, []Demand{person(0), speaker(0)}, []int{3, 3}},
		{"everybody is seen first, then the speaker better", 700 * k, []Demand{person(0), speaker(0), person(0)}, []int{1, 2, 1}},
		{"then the others", 1300 * k, []Demand{person(0), speaker(0), person(0)}, []int{2, 2, 2}},
		{"the speaker is the last to go", 130 * k, []Demand{person(1), speaker(1), person(0)}, []int{0, 1, 0}},
		{"a screen before the speaker", 900 * k, []Demand{speaker(0), screen(1)}, []int{0, 1}},
		{"a screen that does not fit leaves it to others", 700 * k, []Demand{speaker(0), screen(0)}, []int{2, 0}},
		{"nothing fits", 50 * k, []Demand{person(1)}, []int{0}},
		{"what is shown stays where it just fits", 400 * k, []Demand{person(2)}, []int{2}},
		{"but does not begin there", 400 * k, []Demand{person(1)}, []int{1}},
		{"and begins with something to spare", 460 * k, []Demand{person(1)}, []int{2}},
		{"who is seen stays rather than another", 210 * k, []Demand{person(0), person(1), person(1)}, []int{0, 1, 1}},
		{"a better one among the layers does not fit", 450 * k, []Demand{{Rates: []float64{300 * k, 310 * k}, Now: 1}}, []int{2}},
		{"a single layer that is too much", 300 * k, []Demand{{Rates: []float64{1000 * k}, Now: 1}}, []int{0}},
	} {
		got := Share(x.limit, x.demands)
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
		total := 0.0
		for i, n := range got {
			if n > 0 {
				total += x.demands[i].Rates[n-1]
			}
		}
		if total > x.limit {
			t.Errorf("%s: %.0f of %.0f", x.name, total, x.limit)
		}
	}
}

// What fits does not change what is given: no limit makes it go to and fro.
func TestShareSettles(t *testing.T) {
	demands := []Demand{
		{Rates: []float64{100, 400, 1500}}, {Priority: 1, Rates: []float64{100, 350, 1400}}, {Priority: 2, Rates: []float64{900}},
		{Rates: []float64{200}}, {Rates: []float64{120, 130}},
	}
	for limit := 50.0; limit < 6000; limit += 10 {
		var last []int
		for n := range 20 {
			given := Share(limit, demands)
			for i := range demands {
				demands[i].Now = given[i]
			}
			if n > 5 && !slices.Equal(given, last) {
				t.Fatalf("limit %.0f: %v, then %v", limit, last, given)
			}
			last = given
		}
	}
}
