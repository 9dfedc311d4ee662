package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// caseTimeout bounds one case. The longest lies in a cut of 30 s.
const caseTimeout = 3 * time.Minute

// sdks that the suite is run with, by the key of their exclusions.
var sdks = []string{"100ms", "amphi"}

// whiteboard lets the server name a service that keeps boards. No client speaks to it here.
var whiteboard = []string{"--whiteboard-addr", "board.example", "--whiteboard-secret", "0123456789abcdef0123456789abcdef"}

// suite is what the page says of itself.
type suite struct {
	Rows       []string
	Groups     []group
	Faults     []group                      // of TestFaults
	Browsers   []group                      // of TestFirefox
	Exclusions map[string]map[string]string // by SDK and row: the reason
}

// group is a room with people, and the cases that they go through.
type group struct {
	Name   string
	People []string
	Lanes  []string // people who reach the server over a relay
	Cases  []string // rows
}

// uncovered returns the rows without a case.
func (s suite) uncovered() []string {
	return slices.DeleteFunc(slices.Clone(s.Rows), func(row string) bool {
		return slices.ContainsFunc(s.Groups, func(g group) bool { return slices.Contains(g.Cases, row) })
	})
}

// check says what the suite does not cover, or covers without saying what.
func (s suite) check(t *testing.T, sdk string) {
	t.Helper()
	for _, g := range s.Groups {
		for _, row := range g.Cases {
			if !slices.Contains(s.Rows, row) {
				t.Errorf("the case %q of %s belongs to no row", row, g.Name)
			}
		}
	}
	for _, row := range s.uncovered() {
		t.Errorf("the row %q has no case", row)
	}
	for row, reason := range s.Exclusions[sdk] {
		if !slices.Contains(s.Rows, row) || reason == "" {
			t.Errorf("the exclusion of %q is of no row, or without a reason", row)
		}
	}
}

// table collects what happened, by row and SDK.
type table struct {
	mu   sync.Mutex
	rows []string
	cell map[string]map[string]string
}

const failed = "FAIL"

// fail writes the reason into the table too: of a long log often only the table is looked at.
func (tb *table) fail(row, sdk string, err error) {
	tb.set(row, sdk, failed+": "+strings.ReplaceAll(err.Error(), "\n", "\n    "))
}

func (tb *table) set(row, sdk, result string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.cell[row] == nil {
		tb.cell[row] = map[string]string{}
	}
	if !strings.HasPrefix(tb.cell[row][sdk], failed) { // a row with several cases
		tb.cell[row][sdk] = result
	}
}

func (tb *table) String() string {
	var b strings.Builder
	for _, row := range tb.rows {
		fmt.Fprintf(&b, "%-105s →", row)
		for _, sdk := range sdks {
			if result := tb.cell[row][sdk]; result != "" {
				fmt.Fprintf(&b, "  %s %s", sdk, result)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestConformance runs two groups at once, and beside them those that mostly wait for a network to come back: task
// test:e2e lets all of them begin.
func TestConformance(t *testing.T) {
	busy := make(chan struct{}, 2)
	s := newStage(t, testserver.Run(t, whiteboard...))
	browser := startBrowser(t)
	results := &table{cell: map[string]map[string]string{}}
	t.Run("with", func(t *testing.T) {
		for _, sdk := range sdks {
			t.Run(sdk, func(t *testing.T) {
				t.Parallel()
				page := s.page(t, browser, sdk, sdk)
				suite := describe(t, page)
				suite.check(t, sdk)
				if sdk == sdks[0] {
					results.rows = suite.Rows
				}
				for _, g := range suite.Groups {
					t.Run(g.Name, func(t *testing.T) {
						t.Parallel()
						if len(g.Lanes) == 0 {
							busy <- struct{}{}
							defer func() { <-busy }()
						}
						s.run(t, browser, sdk, g, suite.Exclusions[sdk], results)
					})
				}
			})
		}
	})
	fmt.Print(results)
}

func describe(t *testing.T, page tab) (s suite) {
	t.Helper()
	if err := page.Eval("Suite.describe()", &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// run goes through the cases of a group.
func (s *stage) run(t *testing.T, browser *testbrowser.Browser, sdk string, g group, excluded map[string]string, results *table) {
	page := s.page(t, browser, sdk, g.Name+"-"+sdk)
	env := s.enter(t, g, g.Name+"-"+sdk)
	if _, err := do(page, fmt.Sprintf("Suite.open(%q, %s)", g.Name, env), caseTimeout); err != nil {
		for _, row := range g.Cases {
			results.fail(row, sdk, err)
		}
		t.Fatalf("the people of %s do not come together: %v", g.Name, err)
	}
	for i, row := range g.Cases {
		if reason := excluded[row]; reason != "" {
			results.set(row, sdk, "excluded: "+reason)
			continue
		}
		began := time.Now()
		note, err := do(page, fmt.Sprintf("Suite.run(%q, %d)", g.Name, i), caseTimeout)
		if err != nil {
			results.fail(row, sdk, err)
			t.Errorf("%s with %s (%v): %v", row, sdk, time.Since(began).Round(time.Second), err)
			continue
		}
		if note != "" {
			note = " (" + note + ")"
		}
		results.set(row, sdk, "pass"+note)
		t.Logf("%s: %v", row, time.Since(began).Round(10*time.Millisecond))
	}
	if _, err := do(page, "Suite.close()", caseTimeout); err != nil {
		t.Error(err)
	}
}

// tab is a page in any browser.
type tab interface {
	Eval(expression string, out any) error
	Wait(expression string, atMost time.Duration) error
}

// do waits for a promise, for longer than one question to the browser may take, and returns what it is of.
func do(page tab, promise string, atMost time.Duration) (note string, err error) {
	start := fmt.Sprintf(`(globalThis.Doing = { over: false }, %s.then((note) => ({ note: note ?? '' }), (error) => ({ error: String(error.message || error) }))
		.then((end) => Object.assign(Doing, end, { over: true })), null)`, promise)
	if err := page.Eval(start, nil); err != nil {
		return "", err
	}
	if err := page.Wait("Doing.over", atMost); err != nil {
		return "", err
	}
	var end struct{ Note, Error string }
	if err := page.Eval("Doing", &end); err != nil {
		return "", err
	}
	if end.Error != "" {
		return "", errors.New(end.Error)
	}
	return end.Note, nil
}

// TestTable keeps the rows that a failing case must not hide.
func TestTable(t *testing.T) {
	tb := &table{rows: []string{"a", "b"}, cell: map[string]map[string]string{}}
	tb.fail("a", sdks[0], errors.New("no"))
	tb.set("a", sdks[0], "pass")
	tb.set("b", sdks[0], "pass")
	if lines := strings.Split(tb.String(), "\n"); !strings.HasSuffix(lines[0], " FAIL: no") || !strings.HasSuffix(lines[1], " pass") {
		t.Errorf("%q", lines)
	}
	s := suite{Rows: []string{"a", "b"}, Groups: []group{{Cases: []string{"a", "c"}}}}
	if missing := s.uncovered(); !slices.Equal(missing, []string{"b"}) {
		t.Errorf("without a case: %q", missing)
	}
}
