package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of one frame, refused before its params are looked at. How large a
// frame may be is up to the transport.
const (
	MaxIDBytes     = 128
	MaxMethodBytes = 64
)

// ErrBadFrame is returned for a message that is not one JSON object of the
// protocol's shape.
var ErrBadFrame = errors.New("bad frame")

// Frame is one WebSocket text message in either direction (§3.2): a request
// (method and id), a notification (method, no id) or a response (id and either
// result or error). "jsonrpc" is accepted and ignored.
type Frame struct {
	ID     string          `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// ParseFrame reads one message. The error wraps ErrBadFrame and says what is
// wrong with it.
func ParseFrame(data []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(data, &f); err != nil {
		return Frame{}, fmt.Errorf("%w: %w", ErrBadFrame, err)
	}
	switch {
	case len(f.ID) > MaxIDBytes:
		return Frame{}, fmt.Errorf("%w: id longer than %d bytes", ErrBadFrame, MaxIDBytes)
	case len(f.Method) > MaxMethodBytes:
		return Frame{}, fmt.Errorf("%w: method longer than %d bytes", ErrBadFrame, MaxMethodBytes)
	case f.ID == "" && f.Method == "":
		return Frame{}, fmt.Errorf("%w: neither id nor method", ErrBadFrame)
	}
	return f, nil
}

// Notification returns the bytes of a message without an id. Params that cannot
// be marshalled are a programming error and panic.
func Notification(method string, params any) []byte {
	return mustMarshal(struct {
		JSONRPC string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{"2.0", method, params})
}

// Request returns the bytes of a message that wants a response.
func Request(id, method string, params any) []byte {
	return mustMarshal(struct {
		ID      string `json:"id"`
		JSONRPC string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{id, "2.0", method, params})
}

// Result returns the bytes of a success response. The client fails on a falsy
// result (§3.2 rule 3), so nil becomes an empty object.
func Result(id string, result any) []byte {
	if result == nil {
		result = struct{}{}
	}
	return mustMarshal(struct {
		ID      string `json:"id"`
		JSONRPC string `json:"jsonrpc"`
		Result  any    `json:"result"`
	}{id, "2.0", result})
}

// Failure returns the bytes of an error response.
func Failure(id string, e *Error) []byte {
	return mustMarshal(struct {
		ID      string `json:"id"`
		JSONRPC string `json:"jsonrpc"`
		Error   *Error `json:"error"`
	}{id, "2.0", e})
}

func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("protocol: marshal %T: %v", v, err))
	}
	return b
}
