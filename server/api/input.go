package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"amphi/server/store"
)

// decode reads the request's body, a JSON object, into v. Nothing at all is taken as {}: many documented calls have no
// body. The Content-Type is not looked at: browsers send text/plain when the page names none. Fields that v does not
// have are ignored, unless strict.
func decode(r *http.Request, v any, strict bool) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return refuse(http.StatusBadRequest, "request body could not be read")
	}
	return decodeJSON(body, v, strict)
}

func decodeJSON(body []byte, v any, strict bool) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if !json.Valid(body) {
		var syntax *json.SyntaxError
		if err := json.Unmarshal(body, new(any)); errors.As(err, &syntax) {
			return &Error{Code: http.StatusBadRequest, Message: "Invalid JSON", Details: []string{fmt.Sprintf("at byte %d: %v", syntax.Offset, syntax)}}
		}
		return refuse(http.StatusBadRequest, "Invalid JSON")
	}
	if body[0] != '{' {
		return badParam("body", "a JSON object is wanted")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if strict {
		dec.DisallowUnknownFields()
	}
	err := dec.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return badParam("body", "%s must be %s", wrong.Field, kindName(wrong.Type))
	default: // an unknown field: the package has no type for that error
		return badParam("body", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
}

// kindName is a Go type in the words of JSON.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// query reads parameters of a URL. The first mistake is kept in err; what is read after it is zero.
type query struct {
	values url.Values
	err    error
}

func queryOf(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.err = badParam("query", "it is not properly encoded")
	}
	return q
}

func (q *query) bad(name, format string, args ...any) {
	if q.err == nil {
		q.err = badParam("query", "%s %s", name, fmt.Sprintf(format, args...))
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

// id reads an object id.
func (q *query) id(name string) string {
	v := q.values.Get(name)
	if v != "" && !store.IsID(v) {
		q.bad(name, "must be an id of 24 hexadecimal digits")
		return ""
	}
	return v
}

// boolean reads true or false; nil when the parameter is absent.
func (q *query) boolean(name string) *bool {
	switch q.values.Get(name) {
	case "":
		return nil
	case "true", "1":
		return ptr(true)
	case "false", "0":
		return ptr(false)
	default:
		q.bad(name, "must be true or false")
		return nil
	}
}

// time reads an RFC 3339 time.
func (q *query) time(name string) time.Time {
	v := q.values.Get(name)
	if v == "" {
		return time.Time{}
	}
	// An unescaped + in a zone offset arrives as a space.
	t, err := time.Parse(time.RFC3339, strings.ReplaceAll(v, " ", "+"))
	if err != nil {
		q.bad(name, "must be a time such as 2024-01-24T08:12:50Z")
	}
	return t
}

// Bounds of a page.
const (
	minPage = 10 // which is also the default
	maxPage = 100
)

// page reads limit, which is brought into its bounds, and start, whose form isStart checks.
func (q *query) page(isStart func(string) bool) store.Page {
	p := store.Page{Limit: minPage, Start: q.values.Get("start")}
	if v := q.values.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			q.bad("limit", "must be a whole number")
		}
		p.Limit = min(max(n, minPage), maxPage)
	}
	if p.Start != "" && !isStart(p.Start) {
		q.bad("start", "must be the last of the page before")
	}
	return p
}

// list is a page of objects as it is answered.
type list struct {
	Limit int    `json:"limit"`
	Data  any    `json:"data"` // never null
	Last  string `json:"last"` // id of the last object in data
}

// listOf makes the answer of a page of records: show makes an object, id tells a record's id.
func listOf[R, O any](limit int, records []R, show func(R) O, id func(R) string) list {
	objects := make([]O, len(records))
	for i, r := range records {
		objects[i] = show(r)
	}
	l := list{Limit: limit, Data: objects}
	if len(records) > 0 {
		l.Last = id(records[len(records)-1])
	}
	return l
}

func ptr[T any](v T) *T { return &v }

// maybe is a time that is null while it has not come.
func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
