package conformance

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// TestFirefox lets Firefox and Chromium meet, with both SDKs, one after the other.
func TestFirefox(t *testing.T) {
	t.Parallel() // with TestFaults, which mostly waits
	s := newStage(t, testserver.Run(t))
	chromium := startBrowser(t)
	firefox, err := testbrowser.StartFirefox()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := firefox.Close(); err != nil {
			t.Errorf("close firefox: %v", err)
		}
	})
	results := &table{cell: map[string]map[string]string{}}
	for _, sdk := range sdks {
		t.Run(sdk, func(t *testing.T) {
			kim := s.page(t, chromium, sdk, "kim-"+sdk)
			fox, err := firefox.Open()
			if err != nil {
				t.Fatal(err)
			}
			if err := fox.Goto(s.address(sdk)); err != nil {
				t.Fatal(err)
			}
			if err := fox.Wait("globalThis.Suite", caseTimeout); err != nil {
				t.Fatal(err)
			}
			groups := describe(t, fox).Browsers
			env := s.enter(t, groups[0], "firefox-"+sdk)
			pages := map[string]tab{"fox": fox, "kim": kim}
			for _, g := range groups {
				if _, err := do(pages[g.Name], fmt.Sprintf("Suite.open(%q, %s)", g.Name, env), caseTimeout); err != nil {
					t.Fatalf("%s does not come in: %v", g.Name, err)
				}
				for _, row := range g.Cases {
					results.add(row)
				}
			}
			// Both at once: each waits for the other.
			var wg sync.WaitGroup
			for _, g := range groups {
				wg.Go(func() {
					for i, row := range g.Cases {
						began := time.Now()
						_, err := do(pages[g.Name], fmt.Sprintf("Suite.run(%q, %d)", g.Name, i), caseTimeout)
						results.judge(t, row, sdk, time.Since(began), err)
					}
				})
			}
			wg.Wait()
			for _, g := range groups {
				if _, err := do(pages[g.Name], "Suite.close()", caseTimeout); err != nil {
					t.Error(err)
				}
			}
		})
	}
	fmt.Print(results)
}
