package protocol

// FindPeers is the params of find-peer (§3.6.7); all optional.
type FindPeers struct {
	Limit    int      `json:"limit,omitempty"` // 10 when absent, at most 100
	Role     string   `json:"role,omitempty"`
	Group    string   `json:"group,omitempty"`
	PeerIDs  []string `json:"peerIds,omitempty"`
	PeersToo []string `json:"peers,omitempty"` // what the client's types call peerIds
}

// NextPeers is the params of peer-iter-next.
type NextPeers struct {
	Iterator string `json:"iterator,omitempty"` // the newest when absent
	Limit    int    `json:"limit,omitempty"`
}

// PeerPage answers both.
type PeerPage struct {
	Iterator string `json:"iterator"`
	Total    int    `json:"total"` // that match now
	EOF      bool   `json:"eof"`
	Peers    []Peer `json:"peers"` // never null
}

// SearchNames is the params of peer-name-search.
type SearchNames struct {
	Query  string `json:"query"`
	Limit  int    `json:"limit,omitempty"` // 10 when absent, at most 100
	Offset int    `json:"offset,omitempty"`
}

// NamesFound answers it. Offset is where the next page begins.
type NamesFound struct {
	Count  int         `json:"count"`
	Limit  int         `json:"limit"`
	Offset int         `json:"offset"`
	EOF    bool        `json:"eof"`
	Peers  []NameFound `json:"peers"` // never null
}

// NameFound is one of them.
type NameFound struct {
	PeerID string `json:"peer_id"`
	Name   string `json:"name"`
	Role   string `json:"role"`
	Type   string `json:"type"`
}
