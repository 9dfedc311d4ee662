package dashboard

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// said are the words that people found on the pages: on what they pressed and chose, in labels and headings.
type said struct{ words []string }

func (s *said) note(words ...string) { s.words = append(s.words, words...) }

// tours are the sections of the README that lead through the pages, and strong the words in them that name something there.
var (
	tours  = []string{"The first five minutes", "The dashboard"}
	strong = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// isTour checks that whatever the README's tours name was found on the pages by those who followed them.
func (s *said) isTour(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, title := range tours {
		_, section, found := strings.Cut(string(text), "\n## "+title+"\n")
		if !found {
			t.Fatalf("the README has no section %q", title)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for _, match := range strong.FindAllStringSubmatch(section, -1) {
			word := strings.Join(strings.Fields(match[1]), " ")
			if strings.HasPrefix(word, "http") {
				continue // where the pages are
			}
			checked++
			if !slices.ContainsFunc(s.words, func(w string) bool { return strings.EqualFold(w, word) }) {
				t.Errorf("the README's tour %q names %q, and nobody who followed it found that", title, word)
			}
		}
	}
	if checked < 20 {
		t.Errorf("the README's tours name only %d things", checked)
	}
}
