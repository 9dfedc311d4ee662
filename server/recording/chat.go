package recording

import (
	"context"
	"encoding/csv"
	"fmt"
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

// chat is the file of what was said to everybody or to roles while the recording ran; none when nothing was.
func (m *Manager) chat(ctx context.Context, r *reel, log *slog.Logger) []product {
	s := r.spec
	if s.Session == "" || len(r.segments) == 0 {
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
	return []product{{
		asset: store.Asset{RoomID: s.Room, SessionID: s.Session, JobID: s.ID, Type: store.AssetChat, Metadata: map[string]any{}},
		key:   fmt.Sprintf("chat/%s/%s/%s.csv", s.Room, s.day(), s.name()),
		make:  func(target string) error { return writeChat(target, said) },
	}}
}

// writeChat makes a table of messages, with the head that the API documents.
func writeChat(target string, said []store.ChatMessage) error {
	return writeFile(target, func(f *os.File) error {
		w := csv.NewWriter(f)
		rows := [][]string{{"SenderPeerID", "SenderName", "SenderUserID", "Roles", "SentAt", "Type", "Message"}}
		for _, c := range said {
			rows = append(rows, []string{c.PeerID, c.Name, c.UserID, "[" + strings.Join(c.Roles, " ") + "]", c.SentAt.UTC().Format(time.RFC3339), c.Type, c.Message})
		}
		return w.WriteAll(rows)
	})
}
