package layout

import (
	"strings"
	"testing"
	"time"
)

func TestSeats(t *testing.T) {
	var s Seats
	var v conversation
	people := func(text string) (all []Person) { // those in capitals show no picture
		for _, name := range strings.Fields(text) {
			all = append(all, Person{strings.ToLower(name), name != strings.ToUpper(name)})
		}
		return all
	}
	speak := func(names string) {
		levels := map[string]uint8{}
		for _, name := range strings.Fields("a b c d e f g") {
			levels[name] = quiet
			if strings.Contains(names, name) {
				levels[name] = talks
			}
		}
		v.play(3*time.Second, levels)
	}
	for _, step := range []struct {
		what   string
		speaks string
		people string
		seats  int
		front  string
		want   string
	}{
		{"the first", "", "aa bb", 4, "", "aa bb"},
		{"more come", "", "aa bb cc dd", 4, "", "aa bb cc dd"},
		{"too many", "", "aa bb cc dd ee FF", 4, "", "aa bb cc dd"},
		{"one leaves", "", "aa cc dd ee FF", 4, "", "aa cc dd ee"},
		{"nobody moves for who comes back", "", "aa bb cc dd ee FF", 4, "", "aa cc dd ee"},
		{"who was first is in front", "", "aa bb cc dd ee FF", 4, "dd", "dd cc aa ee"},
		{"and stays there", "", "aa bb cc dd ee FF", 4, "", "dd cc aa ee"},
		{"a front without a seat gets one", "", "aa bb cc dd ee FF", 4, "bb", "bb cc aa dd"},
		{"fewer seats", "", "aa bb cc dd ee FF", 2, "bb", "bb cc"},
		{"pictures before none", "", "XX YY", 2, "", "xx yy"},
		{"a picture comes", "", "XX YY zz", 2, "", "xx zz"},
		{"nobody is here", "", "", 4, "", ""},
	} {
		speak(step.speaks)
		if got := strings.Join(s.Take(people(step.people), step.seats, &v.Voices, step.front), " "); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
}

// Who speaks is seen, in the seat of who has been silent for longest.
func TestSeatsForVoices(t *testing.T) {
	var s Seats
	var v conversation
	all := []Person{{"a", true}, {"b", true}, {"c", true}, {"d", true}, {"e", false}}
	for _, step := range []struct{ speaks, want string }{
		{"", "a b c"}, {"b", "a b c"}, {"c", "a b c"}, {"d", "d b c"}, {"a", "d a c"}, {"e", "d a e"}, {"d a", "d a e"}, {"b c", "d c b"}, {"", "d c b"},
	} {
		levels := map[string]uint8{}
		for _, p := range all {
			levels[p.Name] = quiet
			if strings.Contains(step.speaks, p.Name) {
				levels[p.Name] = talks
			}
		}
		v.play(3*time.Second, levels)
		if got := strings.Join(s.Take(all, 3, &v.Voices, ""), " "); got != step.want {
			t.Errorf("%q speak: %q, want %q", step.speaks, got, step.want)
		}
	}
}
