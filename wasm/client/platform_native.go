//go:build !js

package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"

	"github.com/coder/websocket"
)

// spawn runs fn in a goroutine.
func spawn(fn func()) { go fn() }

const clientOS = runtime.GOOS

// httpDo makes one HTTP request. An error means that there was no answer.
func httpDo(ctx context.Context, method, url string, header map[string]string, body string) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	// Requests are rare, and the reason for one may be that the network is another: a kept connection would be dead.
	request.Close = true
	for k, v := range header {
		request.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxHTTPBody+1))
	if err != nil {
		return 0, nil, err
	}
	if len(answer) > maxHTTPBody {
		return 0, nil, fmt.Errorf("body of %s is above %d bytes", url, maxHTTPBody)
	}
	return response.StatusCode, answer, nil
}

// dialSocket opens a WebSocket.
func dialSocket(ctx context.Context, url string) (socket, error) {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxServerFrame)
	return nativeSocket{conn}, nil
}

type nativeSocket struct{ conn *websocket.Conn }

func (s nativeSocket) Read(ctx context.Context) ([]byte, error) {
	for {
		kind, data, err := s.conn.Read(ctx)
		if err != nil || kind == websocket.MessageText {
			return data, err
		}
	}
}

func (s nativeSocket) Write(ctx context.Context, message []byte) error {
	return s.conn.Write(ctx, websocket.MessageText, message)
}

func (s nativeSocket) Close(reason string) error {
	return s.conn.Close(websocket.StatusNormalClosure, reason)
}

func (s nativeSocket) CloseNow() { _ = s.conn.CloseNow() }
