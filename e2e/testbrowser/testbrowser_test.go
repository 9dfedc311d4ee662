package testbrowser_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
)

const document = `<!doctype html>
<title>a page</title>
<div id="host"></div>
<button id="covered">under</button>
<div style="position: absolute; inset: 100px 0 0 0; background: #fff">cover</div>
<button id="hidden" style="display: none">hidden</button>
<script>
  const shadow = document.getElementById('host').attachShadow({ mode: 'open' });
  shadow.innerHTML = '<input data-testid="field" value="old"><button data-testid="press">Press</button>';
  shadow.querySelector('button').onclick = (e) => { document.title = 'pressed ' + e.isTrusted; };
  shadow.querySelector('input').onkeydown = (e) => { if (e.key === 'Enter') document.title = 'said ' + e.target.value; };
  document.getElementById('covered').style.cssText = 'position: absolute; top: 200px';
  console.log('hello from the page');
  localStorage.visits = (Number(localStorage.visits) || 0) + 1;
</script>`

func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium, left out by -short")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(document))
	}))
	defer server.Close()
	browser, err := testbrowser.Start(t.Context(), testbrowser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	open := func() *testbrowser.Page {
		t.Helper()
		page, err := browser.Open(testbrowser.PageConfig{Camera: 3, Dark: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := page.Goto(server.URL); err != nil {
			t.Fatal(err)
		}
		return page
	}
	page, other := open(), open()

	if err := page.Type(`[data-testid="field"]`, "new words\n"); err != nil {
		t.Error(err)
	}
	if err := page.Wait(`document.title === 'said new words'`, time.Second); err != nil {
		t.Error(err)
	}
	findings, err := other.Axe()
	if err != nil {
		t.Error(err)
	}
	for _, rule := range []string{"html-has-lang", "label"} { // the field has no name
		if !slices.ContainsFunc(findings, func(f testbrowser.Finding) bool { return f.Rule == rule }) {
			t.Errorf("axe does not find that %s is broken: %v", rule, findings)
		}
	}
	if _, err := other.TabTo("#hidden", 6); err == nil {
		t.Error("Tab came to a hidden button")
	}
	if err := page.Click(`[data-testid="press"]`); err != nil {
		t.Error(err)
	}
	if err := page.Wait(`document.title === 'pressed true'`, time.Second); err != nil {
		t.Error(err)
	}
	for selector, want := range map[string]string{"#covered": "lies over it", "#hidden": "hidden", "#none": "not there"} {
		var at struct{ Why string }
		if err := page.Eval(`E2E.point('`+selector+`')`, &at); err != nil {
			t.Error(err)
		} else if !strings.Contains(at.Why, want) {
			t.Errorf("%s: %q, want %q in it", selector, at.Why, want)
		}
	}

	var seen struct {
		Visits string
		Dark   bool
		Tracks []string
	}
	err = other.Eval(`navigator.mediaDevices.getUserMedia({ audio: true, video: true }).then((stream) => ({
		visits: localStorage.visits,
		dark: matchMedia('(prefers-color-scheme: dark)').matches,
		tracks: stream.getTracks().map((track) => track.kind).sort(),
	}))`, &seen)
	if err != nil {
		t.Error(err)
	}
	if seen.Visits != "1" || !seen.Dark || strings.Join(seen.Tracks, " ") != "audio video" {
		t.Errorf("the second person's page: %+v", seen)
	}
	if err := page.Wait(`false`, 0); err == nil {
		t.Error("waited for false without an error")
	}
	if err := page.Eval(`Promise.reject(new Error('no'))`, nil); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("a rejected promise: %v", err)
	}
	if png, err := page.Screenshot(); err != nil || len(png) == 0 {
		t.Errorf("screenshot: %d bytes, %v", len(png), err)
	}
	if console := page.Console(); !strings.Contains(console, "hello from the page") {
		t.Errorf("console: %q", console)
	}
	page.Close()
	if err := browser.Close(); err != nil {
		t.Error(err)
	}
}

func TestFirefox(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Firefox, left out by -short")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(document))
	}))
	defer server.Close()
	firefox, err := testbrowser.StartFirefox()
	if err != nil {
		t.Fatal(err)
	}
	page, err := firefox.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Goto(server.URL); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Title  string
		Tracks []string
	}
	const camera = `navigator.mediaDevices.getUserMedia({ audio: true, video: true })
		.then((stream) => ({ title: document.title, tracks: stream.getTracks().map(({ kind }) => kind).sort() }))`
	if err := page.Eval(camera, &got); err != nil || got.Title != "a page" || strings.Join(got.Tracks, " ") != "audio video" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := page.Eval("Promise.reject(Error('not today'))", nil); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("a rejected promise: %v", err)
	}
	if err := page.Wait("setTimeout(() => { globalThis.later = true }, 100), globalThis.later", 20*time.Second); err != nil {
		t.Error(err)
	}
	if err := firefox.Close(); err != nil {
		t.Error(err)
	}
	if err := page.Eval("1", nil); err == nil {
		t.Error("a closed browser answers")
	}
}
