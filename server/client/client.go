// Package client calls the server API from Go: rooms, room codes, live streams, templates, sessions.
//
// Methods return values with the fields that programs mostly want; each keeps the answer as it came in Raw.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client calls the API of one server. Its methods may be called from many goroutines.
type Client struct {
	URL   string                                    // of the server, such as https://live.example.org
	Token func(ctx context.Context) (string, error) // returns a management token
	HTTP  *http.Client                              // nil: one that gives up after a minute
}

// Error is a refusal of the server.
type Error struct {
	Code    int      `json:"code"` // the HTTP status
	Message string   `json:"message"`
	Details []string `json:"details"`
}

func (e *Error) Error() string {
	if len(e.Details) > 0 {
		return strings.Join(e.Details, "; ")
	}
	return e.Message
}

// Is lets errors.Is compare a refusal with ErrNotFound.
func (e *Error) Is(target error) bool { return target == ErrNotFound && e.Code == http.StatusNotFound }

// ErrNotFound is what a refusal with 404 is.
var ErrNotFound = errors.New("not found")

// ErrUnreachable says that no answer of a server came.
var ErrUnreachable = errors.New("the server does not answer")

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 64 << 20

var patient = &http.Client{Timeout: time.Minute}

// Do makes a request. in becomes its JSON body unless it is nil; the JSON answer is read into out unless that is nil.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, body)
	if err != nil {
		return err
	}
	token, err := c.Token(ctx)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	h := c.HTTP
	if h == nil {
		h = patient
	}
	resp, err := h.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode >= 300 {
		return refusal(resp, text)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what it should be: %w", method, path, err)
	}
	return nil
}

// refusal makes an Error of an answer, also of one of somebody else, such as a proxy.
func refusal(resp *http.Response, text []byte) *Error {
	e := &Error{}
	if json.Unmarshal(text, e) != nil || e.Message == "" {
		e = &Error{Message: "the answer was " + resp.Status}
	}
	e.Code = resp.StatusCode
	return e
}

// Raw is an answer as it came.
type Raw struct{ text json.RawMessage }

// MarshalJSON returns the answer.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r.text == nil {
		return []byte("null"), nil
	}
	return r.text, nil
}

// object reads one object, keeping its text.
type object[T any] struct {
	value T
	Raw
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *object[T]) UnmarshalJSON(text []byte) error {
	o.text = bytes.Clone(text)
	return json.Unmarshal(text, &o.value)
}

// pageSize is the largest page that the API gives.
const pageSize = 100

// all reads all pages of a list, at most limit objects; 0: without bound.
func all[T any](ctx context.Context, c *Client, path string, query url.Values, limit int) ([]object[T], error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", strconv.Itoa(pageSize))
	var list []object[T]
	for {
		var page struct {
			Data []object[T] `json:"data"`
			Last string      `json:"last"`
		}
		if err := c.Do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		list = append(list, page.Data...)
		if limit > 0 && len(list) >= limit {
			return list[:limit], nil
		}
		if len(page.Data) < pageSize || page.Last == "" || page.Last == query.Get("start") {
			return list, nil
		}
		query.Set("start", page.Last)
	}
}
