package client

import (
	"context"

	"amphi/wasm/jsbridge"
)

// spawn runs fn in a goroutine. A panic in it is reported and does not end the program.
func spawn(fn func()) { jsbridge.Go(fn) }

const clientOS = "web"

// httpDo makes one HTTP request. An error means that there was no answer.
func httpDo(ctx context.Context, method, url string, header map[string]string, body string) (status int, answer []byte, err error) {
	return jsbridge.Fetch(ctx, jsbridge.Request{Method: method, URL: url, Header: header, Body: body}, maxHTTPBody)
}

// dialSocket opens a WebSocket of the browser.
func dialSocket(ctx context.Context, url string) (socket, error) {
	s, err := jsbridge.Dial(ctx, url, 2*maxServerFrame)
	if err != nil {
		return nil, err
	}
	return s, nil
}
