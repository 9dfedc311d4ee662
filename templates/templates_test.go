package templates

import (
	"bytes"
	"flag"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/a-h/templ/generator"
	"github.com/a-h/templ/parser/v2"
)

var update = flag.Bool("update", false, "write the golden pages anew")

func testPage(title string) Page {
	return Page{Title: title, Assets: func(name string) Asset {
		asset := Asset{URL: "/static/" + name, Integrity: "sha384-" + name}
		if name == "app.js" {
			asset.Imports = []string{"/static/sdk/shared.js"}
		}
		return asset
	}}
}

// hostile is what a host could call a room to break the pages of others.
const hostile = `"><script>alert(1)</script>&amp; 'Ω' 🎭`

func TestPages(t *testing.T) {
	dark := testPage("Amphi")
	dark.Theme = "dark"
	for name, page := range map[string]templ.Component{
		"start": StartPage(testPage("Amphi"), Start{
			App: "Live Streaming Starter Kit", Room: "Town Hall",
			Cards: []Card{
				{Role: "broadcaster", Level: "stage", Link: "/meeting/abc-defg-hij", Shown: "http://localhost:8080/meeting/abc-defg-hij", GoesLive: true, Moderates: true},
				{Role: "viewer-realtime", Level: "floor", Link: "/meeting/klm-nopq-rst", Shown: "http://localhost:8080/meeting/klm-nopq-rst"},
				{Role: "hls-viewer", Level: "gallery", Link: "/streaming/meeting/uvw-xyza-bcd", Shown: "http://localhost:8080/streaming/meeting/uvw-xyza-bcd"},
			},
		}),
		"start-elsewhere": StartPage(dark, Start{}),
		"meeting":         MeetingPage(testPage(hostile), Meeting{Code: "abc-defg-hij", Room: hostile, Level: "stage"}),
		"reference": ReferencePage(testPage("Server API"), []Section{{Name: "Live streams", Endpoints: []Endpoint{
			{Method: "POST", Path: "/v2/things/{id}", Summary: "Change a thing", Token: "management token", Query: []string{"limit", "start"},
				Body: `{"a": "string"}`, Answer: hostile, Status: 201}}}}),
		"sdk": SDKPage(testPage("Client SDK"), SDK{
			Origin:        "http://localhost:8080",
			Examples:      []Example{{File: "html.html", Title: "Plain HTML", Code: []Piece{{"t", "<script"}, {"", ">\n  "}, {"c", "// " + hostile}, {"s", "'https://live.example.org'"}}}},
			Actions:       []SDKGroup{{"Room", []SDKEntry{{"join", "(config: HMSConfig): Promise<void>", "Enters. " + hostile}}}},
			Selectors:     []SDKGroup{{"Peers", []SDKEntry{{"a", "A", ""}, {"b", "B", ""}, {"c", "C", ""}, {"d", "D", ""}, {"e", "E", ""}}}},
			Notifications: []SDKEntry{{"NEW_MESSAGE", "HMSMessage", ""}},
			Exclusions:    []SDKGroup{{"Actions", []SDKEntry{{"gone", "", "For a reason."}}}},
		}),
		"debug":   DebugPage(testPage("Media"), hostile),
		"problem": ProblemPage(testPage("Not found"), Problem{Status: 404, Title: "There is nothing here", Text: hostile}),
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := page.Render(t.Context(), &got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("differs from %s; if that is meant, run go test ./templates -update\n%s", golden, got.String())
			}
			if bytes.Contains(got.Bytes(), []byte("<script>")) {
				t.Error("a name became markup")
			}
			// The pages' Content-Security-Policy would refuse these.
			if found := regexp.MustCompile(`\s(style|on[a-z]+)=`).Find(got.Bytes()); found != nil {
				t.Errorf("inline %s", found)
			}
		})
	}
}

// TestGenerated fails when a *_templ.go is not what its .templ makes; go generate ./templates mends it.
func TestGenerated(t *testing.T) {
	sources, err := filepath.Glob("*.templ")
	if err != nil || len(sources) == 0 {
		t.Fatal("no templ files", err)
	}
	for _, source := range sources {
		parsed, err := parser.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		var code bytes.Buffer
		if _, err := generator.Generate(parsed, &code, generator.WithVersion(templ.Version()), generator.WithFileName(source)); err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		want, err := format.Source(code.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		got, err := os.ReadFile(strings.TrimSuffix(source, ".templ") + "_templ.go")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s has changed since its Go code was generated; run go generate ./templates", source)
		}
	}
	generated, _ := filepath.Glob("*_templ.go")
	if len(generated) != len(sources) {
		t.Errorf("%d generated files for %d sources", len(generated), len(sources))
	}
}
