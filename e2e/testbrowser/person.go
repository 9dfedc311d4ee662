package testbrowser

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Tab, Enter and the others are keys for [Page.Press]; a letter is its own name.
const (
	Tab       = kb.Tab
	Enter     = kb.Enter
	Escape    = kb.Escape
	Space     = " "
	ArrowDown = kb.ArrowDown
	ArrowUp   = kb.ArrowUp
)

// Modifier is a key that is held while another one is pressed.
type Modifier = chromedp.Modifier

// Modifiers of a key.
const (
	Alt   = chromedp.ModifierAlt
	Ctrl  = chromedp.ModifierCtrl
	Shift = chromedp.ModifierShift
)

// Press presses and releases a key where the focus is.
func (p *Page) Press(key string, with ...Modifier) error {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(key, chromedp.KeyModifiers(with...))); err != nil {
		return fmt.Errorf("press %q: %w", key, err)
	}
	return nil
}

// TabTo presses Tab until the focus is on the element, as somebody without a mouse goes there, and says how often it took.
func (p *Page) TabTo(selector string, atMost int) (presses int, err error) {
	on := fmt.Sprintf("document.activeElement?.matches(%s) ?? false", quoted(selector))
	for presses = range atMost + 1 {
		var there bool
		if err := p.Eval(on, &there); err != nil {
			return presses, err
		}
		if there {
			return presses, nil
		}
		if err := p.Press(Tab); err != nil {
			return presses, err
		}
	}
	var at string
	_ = p.Eval("document.activeElement?.outerHTML.slice(0, 160) ?? ''", &at)
	return presses, fmt.Errorf("the keyboard does not come to %s in %d steps; it is at %s", selector, atMost, at)
}

// Resize gives the page another size, in CSS pixels.
func (p *Page) Resize(width, height int) error {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height)))
}

// Prefer tells the page what its person prefers: dark pages, less motion.
func (p *Page) Prefer(dark, reducedMotion bool) error {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return chromedp.Do(ctx, preferences(dark, reducedMotion))
}

// Throttle makes the page's processor so many times slower.
func (p *Page) Throttle(times float64) error {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: times})
		return err
	}))
}

// preferences are media features of the page.
func preferences(dark, reducedMotion bool) chromedp.Action[chromedp.Void] {
	scheme, motion := "light", "no-preference"
	if dark {
		scheme = "dark"
	}
	if reducedMotion {
		motion = "reduce"
	}
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
		}})
		return err
	})
}
