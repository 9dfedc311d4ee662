package dashboard

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

var looks = flag.String("looks", "looks", "directory for a picture of each page; empty: none")

const (
	patience = 30 * time.Second
	password = "a few words to remember"
)

// guest is somebody in front of the dashboard. Its methods end the test when they cannot do or see a thing.
type guest struct {
	*testbrowser.Page
	t      *testing.T
	server *testserver.Server
	said   *said
}

func (g *guest) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) opens(path string) { g.t.Helper(); g.must(g.Goto(g.server.URL + path)) }
func (g *guest) clicks(selector string) {
	g.t.Helper()
	g.must(g.Click(selector))
}
func (g *guest) types(selector, text string) { g.t.Helper(); g.must(g.Type(selector, text)) }

// at waits for a page of the dashboard, with all that its script does.
func (g *guest) at(path, heading string) {
	g.t.Helper()
	g.must(g.Wait(fmt.Sprintf(`location.pathname === %q && [...document.querySelectorAll("h1")].some((h) => h.textContent.includes(%q))`, path, heading), patience))
}

func (g *guest) waits(expression string) { g.t.Helper(); g.must(g.Wait(expression, patience)) }

// focused waits until the keyboard is at an element.
func (g *guest) focused(selector string) {
	g.t.Helper()
	g.waits(fmt.Sprintf(`document.activeElement?.matches(%q)`, selector))
}

// looks holds the page against axe-core's rules, on a desk in light and on a phone in dark, and keeps pictures if asked.
func (g *guest) looks(name string) {
	g.t.Helper()
	for _, as := range []struct {
		name          string
		width, height int
		dark          bool
		pictureOnly   bool // colours and widths are checked already
	}{{"desk-light", 1280, 800, false, false}, {"phone-dark", 390, 844, true, false}, {"desk-dark", 1280, 800, true, true}, {"phone-light", 390, 844, false, true}} {
		if as.pictureOnly && *looks == "" {
			continue
		}
		g.must(g.Resize(as.width, as.height))
		g.must(g.Prefer(as.dark, true))
		if !as.pictureOnly {
			findings, err := g.Axe()
			g.must(err)
			for _, f := range findings {
				g.t.Errorf("%s, %s: %s", name, as.name, f)
			}
		}
		var wide bool
		g.must(g.Eval("document.documentElement.scrollWidth > innerWidth", &wide))
		if wide {
			g.t.Errorf("%s, %s: wider than the screen", name, as.name)
		}
		if *looks != "" {
			png, err := g.Screenshot()
			g.must(err)
			g.must(os.MkdirAll(*looks, 0o755))
			g.must(os.WriteFile(filepath.Join(*looks, name+"-"+as.name+".png"), png, 0o644))
		}
	}
	g.must(g.Resize(1280, 800))
	g.must(g.Prefer(false, true))
}

// TestDoor comes in as the first admin with a passkey, goes out and in again with it, invites somebody who chooses a
// password and mistypes it, and looks at each page on the way.
func TestDoor(t *testing.T) {
	l := newLab(t)
	server := l.server
	someone := func(name string) *guest { return l.guest(name, testbrowser.PageConfig{}) }
	link, err := server.Amphi("signin", "--public-url", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(strings.TrimSpace(link), server.URL)
	ann := someone("ann")
	ann.must(ann.Passkeys())
	ann.opens(path)
	ann.focused("#name")
	ann.looks("first-run")
	ann.clicks("amphi-passkey button") // says nothing about herself
	ann.focused("#name[aria-invalid]")
	ann.looks("first-run-refused")
	ann.types("#name", "Ann Lee")
	ann.types("#email", "ann@example.org")
	ann.clicks("amphi-passkey button")
	ann.waits(`location.pathname.startsWith("/dashboard") && document.querySelector(".dash-main")`)

	ann.opens("/dashboard/me")
	ann.at("/dashboard/me", "Your account")
	ann.waits(`document.body.textContent.includes("by passkey")`)
	ann.looks("me")

	ann.clicks(`.dash-nav [aria-label="Sign out"]`)
	ann.at("/dashboard/signin", "Sign in")
	ann.focused("#email")
	ann.opens("/dashboard/members")
	ann.at("/dashboard/signin", "Sign in")
	ann.looks("signin")
	ann.clicks("amphi-passkey button")
	ann.at("/dashboard/members", "Members")

	// By keyboard alone: the field, the role, the button.
	if _, err := ann.TabTo("#email", 40); err != nil {
		t.Fatal(err)
	}
	ann.must(ann.Press("b"))
	ann.must(ann.Press(testbrowser.Enter)) // "b" is no address
	ann.waits(`document.activeElement?.matches("#email") && !document.activeElement.validity.valid`)
	ann.types("#email", "bob@example.org")
	ann.must(ann.Press(testbrowser.Enter))
	ann.waits(`document.querySelector('[data-testid="invited"] code')`)
	ann.looks("members-invited")
	var invitation string
	ann.must(ann.Eval(`document.querySelector('[data-testid="invited"] code').textContent`, &invitation))

	bob := someone("bob")
	bob.must(bob.Goto(invitation))
	bob.looks("invited")
	bob.types("#name", "Bob")
	bob.types("#password", "Password1234")
	bob.must(bob.Press(testbrowser.Enter))
	bob.focused("#password[aria-invalid]")
	bob.waits(`document.querySelector("#name").value === "Bob" && document.querySelector("#password-problem").textContent.includes("tried first")`)
	bob.types("#password", password)
	bob.must(bob.Press(testbrowser.Enter))
	bob.waits(`document.querySelector(".dash-main")`)
	bob.clicks(`.dash-nav [aria-label="Sign out"]`)
	bob.at("/dashboard/signin", "Sign in")
	bob.types("#email", "bob@example.org")
	bob.types("#password", "not this one")
	bob.must(bob.Press(testbrowser.Enter))
	bob.focused("#password[aria-invalid]")
	bob.looks("signin-refused")
	bob.types("#password", password)
	bob.must(bob.Press(testbrowser.Enter))
	bob.waits(`document.querySelector(".dash-main")`)
	bob.opens(strings.TrimPrefix(invitation, server.URL))
	bob.looks("link-used")

	ann.opens("/dashboard/members")
	ann.looks("members")
	ann.clicks(`[aria-label="Remove Bob"]`)
	ann.waits(`document.querySelector("dialog[open]")`)
	ann.looks("members-remove")
	ann.clicks("dialog[open] [data-closes]")
	ann.waits(`!document.querySelector("dialog[open]")`)

	// On a phone the navigation is a menu, which Escape closes.
	ann.must(ann.Resize(390, 844))
	ann.clicks(".dash-menu summary")
	ann.waits(`E2E.one(".dash-menu nav a[aria-current]")`)
	if *looks != "" {
		png, err := ann.Screenshot()
		ann.must(err)
		ann.must(os.WriteFile(filepath.Join(*looks, "menu.png"), png, 0o644))
	}
	ann.must(ann.Press(testbrowser.Tab))
	ann.focused(".dash-menu nav a")
	ann.must(ann.Press(testbrowser.Escape))
	ann.focused(".dash-menu summary")
	ann.clicks(".dash-menu summary")
	ann.clicks(`.dash-menu nav a[href="/dashboard/audit"]`)
	ann.at("/dashboard/audit", "Audit log")
	ann.looks("audit")
	if console := ann.Console() + bob.Console(); strings.Contains(console, "Content Security Policy") || strings.Contains(console, "Uncaught") {
		t.Errorf("the pages' consoles:\n%s", console)
	}
}
