package protocol

import "fmt"

// Codes that the server sends in Error.Code and on-error (§7.11). The client
// retries 429 and 500–599, treats 410 on join as final and swallows 421 on offer.
const (
	CodeBadRequest    = 400
	CodeUnauthorized  = 401
	CodeForbidden     = 403
	CodeNotFound      = 404
	CodeUnknown       = 405 // the method does not exist
	CodeConflict      = 409
	CodeGone          = 410
	CodeTooLarge      = 413
	CodeStaleNode     = 421
	CodeUnprocessable = 422
	CodeTooMany       = 429
	CodeInternal      = 500
	CodeUnavailable   = 503
)

// Error is a refusal that the other side may see: a code and a reason. It is
// the error object of responses and the params of on-error.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// Errorf makes an Error with a formatted message.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
