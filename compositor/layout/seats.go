package layout

import "slices"

// Person is somebody who could have a tile.
type Person struct {
	Name     string
	Pictured bool // shows a picture
}

// Seats remembers who has which tile, so that nobody moves without need: whoever comes takes a free
// one, and where there are too few, who speaks takes that of who has been silent for longest.
type Seats struct{ names []string }

// Take seats people, in the order in which they would sit if all were new, on n tiles, and returns
// their names by tiles. front, if it is among them, gets the first.
func (s *Seats) Take(people []Person, n int, v *Voices, front string) []string {
	present := make(map[string]Person, len(people))
	for _, p := range people {
		present[p.Name] = p
	}
	s.names = slices.DeleteFunc(s.names, func(name string) bool { _, here := present[name]; return !here })
	n = min(n, len(people))
	if len(s.names) > n {
		s.leave(n, v, present)
	}
	var waiting []Person
	for _, p := range people {
		if slices.Contains(s.names, p.Name) {
			continue
		}
		if len(s.names) < n {
			s.names = append(s.names, p.Name)
			continue
		}
		waiting = append(waiting, p)
	}
	for _, p := range waiting {
		// Only voices and pictures bring somebody to a seat that is taken.
		i := s.worst(v, present)
		if i < 0 {
			break
		}
		sits := present[s.names[i]]
		if rank(p, v, front) > rank(sits, v, front) {
			s.names[i] = p.Name
		}
	}
	if i := slices.Index(s.names, front); i > 0 {
		s.names[0], s.names[i] = s.names[i], s.names[0]
	}
	return s.names
}

// leave takes seats away until n are left.
func (s *Seats) leave(n int, v *Voices, present map[string]Person) {
	for len(s.names) > n {
		i := s.worst(v, present)
		s.names = slices.Delete(s.names, i, i+1)
	}
}

// worst is the seat that is given away first: of somebody without a picture, then of who has been
// silent for longest, then the last. It is -1 if there is none.
func (s *Seats) worst(v *Voices, present map[string]Person) int {
	worst := -1
	for i, name := range s.names {
		if worst < 0 {
			worst = i
			continue
		}
		a, b := present[name], present[s.names[worst]]
		switch {
		case v.Speaking(a.Name) != v.Speaking(b.Name):
			if !v.Speaking(a.Name) {
				worst = i
			}
		case a.Pictured != b.Pictured:
			if !a.Pictured {
				worst = i
			}
		case !v.Last(a.Name).After(v.Last(b.Name)):
			worst = i
		}
	}
	return worst
}

// rank says how much somebody should be seen.
func rank(p Person, v *Voices, front string) int {
	switch {
	case p.Name == front:
		return 3
	case v.Speaking(p.Name):
		return 2
	case p.Pictured || !v.Last(p.Name).IsZero():
		return 1
	}
	return 0
}
