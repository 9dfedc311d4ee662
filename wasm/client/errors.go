package client

import (
	"errors"
	"fmt"
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// Codes of errors that the client makes itself (§7.11). Codes of the server
// pass through.
const (
	codeSocketFailed     = 1000
	codeSocketLost       = 1003
	codeUnreachable      = 2003
	codeBadToken         = 2004
	codeDenied           = 3001
	codeNoDevice         = 3002
	codeDeviceBusy       = 3003
	codeTrack            = 3000
	codeNothingToReturn  = 3005
	codeOfferFailed      = 4001
	codeAnswerFailed     = 4002
	codeLocalFailed      = 4003
	codeICEFailed        = 4005
	codeICEDisconnected  = 4006
	codeAlreadyJoined    = 5001
	codeNotConnected     = 6000
	codeUnknown          = 6002
	codeNotReady         = 6003
	codeInvalidRole      = 6008
	codeValidationFailed = 6013
)

var codeNames = map[int]string{
	codeSocketFailed: "WebSocketConnectionError", codeSocketLost: "WebSocketConnectionLost",
	codeUnreachable: "EndpointUnreachable", codeBadToken: "InvalidTokenFormat",
	codeTrack: "GenericTrack", codeDenied: "CantAccessCaptureDevice", codeNoDevice: "DeviceNotAvailable",
	codeDeviceBusy: "DeviceInUse", codeNothingToReturn: "NothingToReturn",
	codeOfferFailed: "CreateOfferFailed", codeAnswerFailed: "CreateAnswerFailed", codeLocalFailed: "SetLocalDescriptionFailed",
	codeICEFailed: "ICEFailure", codeICEDisconnected: "ICEDisconnected",
	codeAlreadyJoined: "RoomAlreadyJoined", codeNotConnected: "NotConnected", codeUnknown: "Unknown",
	codeNotReady: "NotReady", codeInvalidRole: "InvalidRole", codeValidationFailed: "ValidationFailed",
}

// Error is what actions return and NotifyError carries, with the fields of the
// SDK's HMSException.
type Error struct {
	Code        int    `json:"code"`
	Name        string `json:"name"`
	Action      string `json:"action"` // what was being done, e.g. "JOIN"
	Message     string `json:"message"`
	Description string `json:"description"`
	IsTerminal  bool   `json:"isTerminal"` // the stay in the room is over
	Timestamp   int64  `json:"timestamp"`
	TrackType   string `json:"trackType,omitempty"` // of errors of local tracks

	cause error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Description != "" && e.Description != e.Message {
		return fmt.Sprintf("%s (%d): %s: %s", e.Name, e.Code, e.Message, e.Description)
	}
	return fmt.Sprintf("%s (%d): %s", e.Name, e.Code, e.Message)
}

// Unwrap is the error behind it, if any.
func (e *Error) Unwrap() error { return e.cause }

func newError(code int, action, format string, args ...any) *Error {
	name := codeNames[code]
	if name == "" {
		name = "ServerErrors"
	}
	err := fmt.Errorf(format, args...)
	return &Error{
		Code: code, Name: name, Action: action, Message: err.Error(), Description: err.Error(),
		Timestamp: time.Now().UnixMilli(), cause: errors.Unwrap(err),
	}
}

// terminal returns the error as one that ends the stay in the room. It copies:
// the original may have been told already.
func terminal(e *Error) *Error {
	c := *e
	c.IsTerminal = true
	return &c
}

// asError gives any error the form of Error.
func asError(err error, action string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return &Error{
			Code: refused.Code, Name: "ServerErrors", Action: action, Message: refused.Message,
			Description: refused.Message, Timestamp: time.Now().UnixMilli(), cause: err,
		}
	}
	return newError(codeUnknown, action, "%w", err)
}

// trackError names an error of a local track.
func trackError(err error, kind string) *Error {
	code := codeTrack
	switch {
	case errors.Is(err, rtc.ErrDenied):
		code = codeDenied
	case errors.Is(err, rtc.ErrNoDevice):
		code = codeNoDevice
	case errors.Is(err, rtc.ErrBusy):
		code = codeDeviceBusy
	}
	e := newError(code, "TRACK", "%w", err)
	e.TrackType = kind
	return e
}

// isRetryable tells errors after which a request is sent again (§3.4).
func isRetryable(err error) bool {
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return refused.Code == codeSocketLost || refused.Code == protocol.CodeTooMany ||
			refused.Code >= 500 && refused.Code <= 599
	}
	return errors.Is(err, errSocketLost)
}
