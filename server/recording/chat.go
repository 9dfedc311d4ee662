package recording

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"amphi/server/store"
)

const (
	chatPage = 1000    // messages that are read at a time
	maxChat  = 100_000 // messages of one recording
)

// chat are the files of what was said to everybody or to roles while the recording ran; none when nothing was.
func (m *Manager) chat(ctx context.Context, r *reel, log *slog.Logger) []product {
	s := r.spec
	if s.Session == "" {
		return nil
	}
	last := r.segments[len(r.segments)-1]
	end := last.Start.Add(last.Duration)
	var said []store.ChatMessage
	for page := (store.Page{Limit: chatPage}); len(said) < maxChat; {
		some, err := m.cfg.Store.Chat(ctx, s.Session, page)
		if err != nil {
			log.Error("chat of a recording could not be read", "err", err)
			break
		}
		for _, c := range some {
			if !c.SentAt.Before(s.Began) && !c.SentAt.After(end) {
				said = append(said, c)
			}
		}
		if len(some) < chatPage {
			break
		}
		page.Start = some[len(some)-1].ID
	}
	if len(said) == 0 {
		return nil
	}
	file := func(kind string, metadata map[string]any, write func(io.Writer, []store.ChatMessage) error) product {
		return product{
			asset: store.Asset{RoomID: s.Room, SessionID: s.Session, JobID: s.ID, Type: store.AssetChat, Metadata: metadata},
			key:   fmt.Sprintf("chat/%s/%s/%s.%s", s.Room, s.day(), s.name(), kind),
			make: func(target string) error {
				return writeFile(target, func(f *os.File) error { return write(f, said) })
			},
		}
	}
	// The API documents the table. Other forms say which they are, as those of transcripts do.
	return []product{file("csv", map[string]any{}, writeChatTable), file("json", map[string]any{"output_mode": "json"}, writeChatJSON)}
}

// writeChatTable makes a table of messages, with the head that the API documents.
func writeChatTable(out io.Writer, said []store.ChatMessage) error {
	rows := [][]string{{"SenderPeerID", "SenderName", "SenderUserID", "Roles", "SentAt", "Type", "Message"}}
	for _, c := range said {
		rows = append(rows, []string{c.PeerID, c.Name, c.UserID, "[" + strings.Join(c.Roles, " ") + "]", c.SentAt.UTC().Format(time.RFC3339), c.Type, c.Message})
	}
	return csv.NewWriter(out).WriteAll(rows)
}

// writeChatJSON makes a list of messages, with all that is known of them.
func writeChatJSON(out io.Writer, said []store.ChatMessage) error {
	type message struct {
		ID           string    `json:"id"`
		SenderPeerID string    `json:"sender_peer_id"`
		SenderName   string    `json:"sender_name"`
		SenderUserID string    `json:"sender_user_id"`
		Roles        []string  `json:"roles"` // that it was for; none: for all
		SentAt       time.Time `json:"sent_at"`
		Type         string    `json:"type"`
		Message      string    `json:"message"`
	}
	list := make([]message, len(said))
	for i, c := range said {
		list[i] = message{c.ID, c.PeerID, c.Name, c.UserID, append([]string{}, c.Roles...), c.SentAt.UTC(), c.Type, c.Message}
	}
	return json.NewEncoder(out).Encode(list)
}
