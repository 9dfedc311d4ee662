package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDescription: what is described is mounted, what is mounted is described, and everything that it refers to is there.
func TestDescription(t *testing.T) {
	b := newBench(t, func(a *API) { a.Limits.RequestsPerSecond = 0 })
	resp, text := b.call("GET", "/v2/openapi.json", "", "")
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Tags        []string
			Summary     string
			Responses   map[string]any
		}
	}
	description := b.body // later calls have others
	if err := json.Unmarshal(description, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v %s", err, doc.OpenAPI)
	}
	ids := make(map[string]bool)
	described := 0
	for path, operations := range doc.Paths {
		for method, o := range operations {
			described++
			if ids[o.OperationID] || o.OperationID == "" || len(o.Tags) != 1 || o.Tags[0] == "" || o.Summary == "" || len(o.Responses) < 3 {
				t.Errorf("%s %s: %+v", method, path, o)
			}
			ids[o.OperationID] = true
			// A method that is not allowed there, or a path that is nobody's, would be refused with these.
			resp, body := b.call(strings.ToUpper(method), b.place(path), "", "")
			if resp.StatusCode == 405 || strings.Contains(body, "no such path") {
				t.Errorf("%s %s is not mounted: %s", method, path, body)
			}
		}
	}
	for name := range b.doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any) {
		if !regexp.MustCompile(`^[A-Z][A-Za-z]*$`).MatchString(name) {
			t.Errorf("schema %q", name)
		}
	}
	if n := len(b.endpoints()); described != n {
		t.Errorf("%d endpoints are described, of %d", described, n)
	}
	var whole any
	if err := json.Unmarshal(description, &whole); err != nil {
		t.Fatal(err)
	}
}

// TestReferencesResolve walks the whole description.
func TestReferencesResolve(t *testing.T) {
	b := newBench(t, nil)
	var doc any
	if err := json.Unmarshal(b.description, &doc); err != nil {
		t.Fatal(err)
	}
	count := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				count++
				if resolve(doc, to) == nil {
					t.Errorf("%s leads nowhere", to)
				}
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	if walk(doc); count < 100 {
		t.Errorf("%d references", count)
	}
}

// resolve finds what a reference leads to.
func resolve(doc any, reference string) any {
	for _, step := range strings.Split(strings.TrimPrefix(reference, "#/"), "/") {
		m, _ := doc.(map[string]any)
		doc = m[strings.ReplaceAll(step, "~", "/")]
	}
	return doc
}

// TestReferenceForPeople: every endpoint is in it once, with its forms.
func TestReferenceForPeople(t *testing.T) {
	b := newBench(t, nil)
	n := 0
	for _, section := range b.Reference() {
		if section.Section == "" {
			t.Error("a section without a name")
		}
		n += len(section.Endpoints)
	}
	if n != len(b.endpoints()) {
		t.Errorf("%d endpoints, of %d", n, len(b.endpoints()))
	}
	for _, e := range b.Reference()[0].Endpoints {
		if e.Method == "POST" && (e.Body == "" || e.Answer == "" || e.Token == "") {
			t.Errorf("%+v", e)
		}
	}
}

// conforms holds a request that was answered well, and every answer, against the description. All requests of the tests
// come by here.
func (b *bench) conforms(req *http.Request, sent string, status int, body []byte) {
	b.t.Helper()
	_, pattern := b.mux.Handler(req)
	pattern = strings.TrimSuffix(pattern, "/")
	if b.doc == nil {
		if err := json.Unmarshal(b.description, &b.doc); err != nil {
			b.t.Fatal(err)
		}
	}
	paths, _ := b.doc.(map[string]any)["paths"].(map[string]any)
	operations, _ := paths[pattern].(map[string]any)
	o, _ := operations[strings.ToLower(req.Method)].(map[string]any)
	if o == nil {
		return
	}
	if kind, _ := resolve(o, "#/requestBody/content/application~json").(map[string]any); kind != nil && status < 300 && strings.TrimSpace(sent) != "" {
		schema, _ := kind["schema"].(map[string]any)
		for _, problem := range b.problems(schema, []byte(sent)) {
			b.t.Errorf("%s %s took %s, the description would not: %s", req.Method, pattern, sent, problem)
		}
	}
	if len(body) == 0 {
		return
	}
	responses, _ := o["responses"].(map[string]any)
	response, _ := responses[strconv.Itoa(status)].(map[string]any)
	if response == nil && status >= 400 {
		response, _ = responses["default"].(map[string]any)
	}
	if response == nil {
		b.t.Errorf("%s %s: status %d is not described", req.Method, pattern, status)
		return
	}
	if to, ok := response["$ref"].(string); ok {
		response, _ = resolve(b.doc, to).(map[string]any)
	}
	content, _ := response["content"].(map[string]any)
	kind, _ := content["application/json"].(map[string]any)
	if kind == nil {
		return
	}
	schema, _ := kind["schema"].(map[string]any)
	for _, problem := range b.problems(schema, body) {
		b.t.Errorf("%s %s, status %d: the description says otherwise: %s", req.Method, pattern, status, problem)
	}
}

// problems says in what a JSON text differs from a schema of the description.
func (b *bench) problems(schema map[string]any, text []byte) []string {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return []string{err.Error()}
	}
	return violations(b.doc, schema, v, "")
}

// violations says in what a value differs from a schema: as much of JSON Schema as the description uses.
func violations(doc any, schema map[string]any, v any, at string) (list []string) {
	if to, ok := schema["$ref"].(string); ok {
		schema, _ = resolve(doc, to).(map[string]any)
	}
	bad := func(format string, args ...any) { list = append(list, at+": "+fmt.Sprintf(format, args...)) }
	if choices, ok := schema["anyOf"].([]any); ok {
		for _, c := range choices {
			if len(violations(doc, c.(map[string]any), v, at)) == 0 {
				return nil
			}
		}
		bad("none of the choices")
		return list
	}
	if values, ok := schema["enum"].([]any); ok && !slices.Contains(values, v) {
		bad("%v is none of %v", v, values)
	}
	kind := "null"
	switch v := v.(type) {
	case string:
		kind = "string"
		if _, err := time.Parse(time.RFC3339, v); schema["format"] == "date-time" && err != nil {
			bad("%q is no time", v)
		}
	case bool:
		kind = "boolean"
	case json.Number:
		kind = "number"
		if f, err := v.Float64(); err == nil && f == math.Trunc(f) && schema["type"] != "number" {
			kind = "integer"
		}
	case []any:
		kind = "array"
		items, _ := schema["items"].(map[string]any)
		for i, child := range v {
			list = append(list, violations(doc, items, child, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		kind = "object"
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := v[name.(string)]; !there {
				bad("%s is missing", name)
			}
		}
		for name, child := range v {
			s, known := properties[name].(map[string]any)
			more, open := schema["additionalProperties"].(map[string]any)
			if !known && open {
				s = more
			}
			if !known && schema["additionalProperties"] == false {
				bad("%s is not described", name)
			}
			list = append(list, violations(doc, s, child, at+"."+name)...)
		}
	}
	switch want := schema["type"].(type) {
	case string:
		if want != kind {
			bad("%s, not %s", kind, want)
		}
	case []any:
		if kind == "integer" && slices.Contains(want, any("number")) {
			kind = "number"
		}
		if !slices.Contains(want, any(kind)) {
			bad("%s, not %v", kind, want)
		}
	}
	return list
}

// TestViolations: the checker finds what is wrong.
func TestViolations(t *testing.T) {
	schema := map[string]any{"type": "object", "required": []any{"a"}, "additionalProperties": false, "properties": map[string]any{
		"a": map[string]any{"type": "integer"}, "b": map[string]any{"type": []any{"array", "null"}, "items": map[string]any{"type": "string", "format": "date-time"}}}}
	for text, want := range map[string]int{
		`{"a":1}`: 0, `{"a":1,"b":null}`: 0, `{"a":1,"b":["2024-01-24T08:12:50Z"]}`: 0,
		`{}`: 1, `{"a":1.5}`: 1, `{"a":"1"}`: 1, `{"a":1,"c":2}`: 1, `{"a":1,"b":["soon"]}`: 1, `[]`: 1,
	} {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if got := violations(nil, schema, v, ""); len(got) != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
