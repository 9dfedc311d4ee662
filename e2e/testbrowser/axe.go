package testbrowser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Finding is something on a page that keeps somebody from using it.
type Finding struct {
	Rule   string   `json:"id"`     // axe-core's name of it, e.g. "color-contrast"
	Impact string   `json:"impact"` // "minor", "moderate", "serious" or "critical"
	Help   string   `json:"help"`
	Where  []string `json:"where"` // each place: its selector and what is wrong there
}

func (f Finding) String() string {
	return fmt.Sprintf("%s (%s): %s\n    %s", f.Rule, f.Impact, f.Help, strings.Join(f.Where, "\n    "))
}

// axeSource is axe-core as npm ci in e2e/ puts it beside this package.
var axeSource = sync.OnceValues(func() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		return "", fmt.Errorf("axe-core is not installed (npm ci in e2e): %w", err)
	}
	return string(data), nil
})

// Axe returns the serious and critical findings of axe-core by the rules of WCAG 2.2 A and AA, on what the page shows now.
// Elements of the given selectors are left out.
//
// Animations are ended first, as colours are wrong halfway.
func (p *Page) Axe(without ...string) ([]Finding, error) {
	var loaded bool
	if err := p.Eval("globalThis.axe !== undefined", &loaded); err != nil {
		return nil, err
	}
	if !loaded {
		source, err := axeSource()
		if err != nil {
			return nil, err
		}
		// Not as a script of the page, whose policy would refuse it.
		if err := p.Eval(source, nil); err != nil {
			return nil, fmt.Errorf("load axe: %w", err)
		}
	}
	if without == nil {
		without = []string{}
	}
	leftOut, err := json.Marshal(without)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	err = p.Eval(fmt.Sprintf(`(async () => {
		for (const animation of document.getAnimations()) {
			const { iterations } = animation.effect?.getComputedTiming() ?? {};
			if (iterations === Infinity) animation.cancel(); else animation.finish();
		}
		const { violations } = await axe.run({ exclude: %s.map((selector) => [selector]) }, {
			runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'],
		});
		return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, impact, help, nodes }) => ({
			id, impact, help, where: nodes.slice(0, 8).map(({ target, failureSummary }) =>
				target.join(' ') + ': ' + failureSummary.split('\n').slice(1).map((line) => line.trim()).join('; ')),
		}));
	})()`, leftOut), &findings)
	if err != nil {
		return nil, fmt.Errorf("axe: %w", err)
	}
	return findings, nil
}

func quoted(text string) string {
	data, _ := json.Marshal(text) // a string always can be
	return string(data)
}
