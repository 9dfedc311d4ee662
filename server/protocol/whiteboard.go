package protocol

// WhiteboardCreate is the params of whiteboard-create (§3.6.10). The lists are
// names of roles; without any, the template's apply.
type WhiteboardCreate struct {
	Title  string   `json:"title"`
	Admin  []string `json:"admin,omitempty"`
	Writer []string `json:"writer,omitempty"`
	Reader []string `json:"reader,omitempty"`
}

// WhiteboardRef is the params of whiteboard-get, and with Owner (a user id) the
// answer to whiteboard-create.
type WhiteboardRef struct {
	ID    string `json:"id"`
	Owner string `json:"owner,omitempty"`
}

// Whiteboard answers whiteboard-get.
type Whiteboard struct {
	ID          string   `json:"id"`
	Addr        string   `json:"addr"`
	Token       string   `json:"token"`
	Owner       string   `json:"owner"`
	Permissions []string `json:"permissions"` // never null
}

// What somebody may do on a whiteboard.
const (
	WhiteboardRead  = "read"
	WhiteboardWrite = "write"
	WhiteboardAdmin = "admin"
)

// States of a whiteboard.
const (
	WhiteboardOpen   = "open"
	WhiteboardClosed = "close"
)

// WhiteboardUpdate is the params of on-whiteboard-update.
type WhiteboardUpdate struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Owner string `json:"owner"`
	State string `json:"state"`
}
