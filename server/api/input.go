package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"amphi/server/store"
)

// decode reads the request's body, a JSON object, into v. Nothing at all is taken as {}: many documented calls have no
// body. Fields that v does not have are ignored, unless strict.
func decode(r *http.Request, v any, strict bool) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return refuse(http.StatusRequestTimeout, "request body did not come in time")
		}
		return refuse(http.StatusBadRequest, "request body could not be read")
	}
	return decodeJSON(body, v, strict)
}

// checkContentType refuses a body that says to be something else than JSON. One that says nothing is read as JSON, and
// so is the text/plain of web pages that name no type: only that spares them a preflight.
func checkContentType(r *http.Request) error {
	given := r.Header.Get("Content-Type")
	if given == "" || r.ContentLength == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(given)
	if err == nil && (kind == "application/json" || kind == "text/plain" || strings.HasSuffix(kind, "+json")) {
		return nil
	}
	return &Error{Code: http.StatusUnsupportedMediaType, Message: "Content-Type must be application/json"}
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
	if body[0] != wants(v) {
		return badParam("body", "a JSON %s is wanted", map[byte]string{'{': "object", '[': "list"}[wants(v)])
	}
	if hasNUL(body) {
		return badParam("body", "texts cannot have the character U+0000")
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

// wants is the first byte of the JSON form of what v points to: an object, or a list.
func wants(v any) byte {
	if reflect.TypeOf(v).Elem().Kind() == reflect.Slice {
		return '['
	}
	return '{'
}

// hasNUL finds \u0000 in a JSON text. Databases do not keep it in texts.
func hasNUL(text []byte) bool {
	const escape = `\u0000`
	for i := bytes.Index(text, []byte(escape)); i >= 0; {
		n := i // of backslashes before the u: an even number of them escape each other
		for n > 0 && text[n-1] == '\\' {
			n--
		}
		if (i-n)%2 == 0 {
			return true
		}
		next := bytes.Index(text[i+1:], []byte(escape))
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
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
	case reflect.Pointer:
		return kindName(t.Elem())
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
	for name, list := range values {
		for _, v := range list {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				q.bad(strconv.Quote(name), "is not text")
			}
		}
	}
	return q
}

// read reads the fields of a struct that have a query tag, the parameter's name. Structs without one are read as if
// their fields were in it.
func (q *query) read(v reflect.Value) {
	for i := range v.NumField() {
		name, tagged := v.Type().Field(i).Tag.Lookup("query")
		if !tagged {
			if v.Field(i).Kind() == reflect.Struct {
				q.read(v.Field(i))
			}
			continue
		}
		switch f := v.Field(i).Addr().Interface().(type) {
		case *objectID:
			*f = objectID(q.id(name))
		case *cursor:
			*f = cursor(q.text(name))
			if *f != "" && !store.IsID(string(*f)) {
				q.bad(name, "must be the last of the page before")
			}
		case *pageLimit:
			*f = q.limit(name)
		case **bool:
			*f = q.boolean(name)
		case *int:
			*f = q.number(name)
		case *time.Time:
			*f = q.time(name)
		case *[]string:
			*f = q.values[name]
		case *string:
			*f = q.text(name)
		default:
			panic(fmt.Sprintf("query parameter %s has the type %T", name, f))
		}
	}
}

// objectID is the id of an object, or empty.
type objectID string

// cursor is the id of the last object of a page, or empty.
type cursor string

// pageLimit is the number of objects on a page.
type pageLimit int

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

// number reads a whole number; 0 when the parameter is absent.
func (q *query) number(name string) int {
	v := q.values.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		q.bad(name, "must be a whole number")
	}
	return n
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

// limit reads a page's limit, which is brought into its bounds.
func (q *query) limit(name string) pageLimit {
	if q.values.Get(name) == "" {
		return minPage
	}
	return pageLimit(min(max(q.number(name), minPage), maxPage))
}

// pageQuery is what asks for a page of a list.
type pageQuery struct {
	Limit pageLimit `query:"limit"`
	Start cursor    `query:"start"` // the last of the page before
}

func (p pageQuery) page() store.Page { return store.Page{Limit: int(p.Limit), Start: string(p.Start)} }

// list is a page of objects as it is answered.
type list[O any] struct {
	Limit int    `json:"limit"`
	Data  []O    `json:"data"` // never null
	Last  string `json:"last"` // id of the last object in data
}

// listOf makes the answer of a page of records: show makes an object, id tells a record's id.
func listOf[R, O any](limit int, records []R, show func(R) O, id func(R) string) list[O] {
	l := list[O]{Limit: limit, Data: make([]O, len(records))}
	for i, r := range records {
		l.Data[i] = show(r)
	}
	if len(records) > 0 {
		l.Last = id(records[len(records)-1])
	}
	return l
}

// optional is a field of which it matters whether it was absent or null.
type optional[T any] struct {
	given bool
	value *T // nil: null, or not given
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.given, o.value = true, nil
	if string(text) == "null" {
		return nil
	}
	o.value = new(T)
	return json.Unmarshal(text, o.value)
}

// wrapped implements wrapper.
func (optional[T]) wrapped() reflect.Type { return reflect.TypeFor[T]() }

func ptr[T any](v T) *T { return &v }

// maybe is a time that is null while it has not come.
func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
