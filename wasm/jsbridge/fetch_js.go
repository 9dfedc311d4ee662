package jsbridge

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"
)

// ErrTooLarge is returned for a body above the given limit.
var ErrTooLarge = errors.New("body too large")

// Request is one call of fetch. Body is text; empty means none.
type Request struct {
	Method string
	URL    string
	Header map[string]string
	Body   string
}

// Fetch calls the browser's fetch: net/http would add a megabyte to the
// program. It returns an error only when there is no answer at all (or no
// readable one: a cross-origin answer without CORS headers looks the same).
func Fetch(ctx context.Context, r Request, maxBytes int) (status int, body []byte, err error) {
	abort, err := New("AbortController")
	if err != nil {
		return 0, nil, err
	}
	stop := context.AfterFunc(ctx, func() { abort.Call("abort") })
	defer stop()
	header := map[string]any{}
	for k, v := range r.Header {
		header[k] = v
	}
	init := map[string]any{"method": r.Method, "headers": header, "signal": abort.Get("signal"), "cache": "no-store"}
	if r.Body != "" {
		init["body"] = r.Body
	}
	response, err := CallAsync(ctx, js.Global(), "fetch", r.URL, init)
	if err != nil {
		return 0, nil, fmt.Errorf("fetch: %w", err)
	}
	buffer, err := CallAsync(ctx, response, "arrayBuffer")
	if err != nil {
		return 0, nil, fmt.Errorf("fetch: %w", err)
	}
	array, err := New("Uint8Array", buffer)
	if err != nil {
		return 0, nil, err
	}
	if array.Length() > maxBytes {
		return 0, nil, ErrTooLarge
	}
	body = make([]byte, array.Length())
	js.CopyBytesToGo(body, array)
	return response.Get("status").Int(), body, nil
}
