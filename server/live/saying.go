package live

import (
	"encoding/json"
	"hash/fnv"
	"image"
	"time"

	"amphi/compositor/label"
	"amphi/compositor/wire"
	"amphi/server/room"
)

const (
	// maxSayings bounds the messages that wait for the stream's goroutine, which is rarely busy.
	// What is more than that nobody could read.
	maxSayings = 64

	chatTime  = 6 * time.Second // that a message stands in the picture
	floatTime = 4 * time.Second // that a reaction rises

	// floatInterval is the least time between two reactions: of a crowd's applause some are shown.
	floatInterval = 120 * time.Millisecond

	typeReaction = "EMOJI_REACTION"
)

// reactions are the emoji that clients send, by the names that they give them.
var reactions = map[string]string{
	"+1": "👍", "-1": "👎", "wave": "👋", "clap": "👏", "fire": "🔥",
	"tada": "🎉", "heart_eyes": "😍", "joy": "😂", "open_mouth": "😮", "sob": "😭",
}

// said takes a message to all from the room's goroutine.
func (s *stream) said(m room.Saying) {
	if m.Event.Info.Type != "chat" && m.Event.Info.Type != typeReaction {
		return
	}
	select {
	case s.sayings <- m:
	default:
	}
}

// hearSaying shows a message, as far as the design wants it.
func (s *stream) hearSaying(m room.Saying) {
	if s.page != nil { // which shows what it likes
		return
	}
	now := time.Now()
	switch {
	case m.Event.Info.Type == typeReaction && s.design.floats && now.Sub(s.floated) >= floatInterval:
		if emoji := reaction(m.Event.Info.Message); emoji != "" {
			s.floated = now
			if w := s.worker.Load(); w != nil {
				s.presenter.float(w, s.canvas, emoji)
			}
		}
	case m.Event.Info.Type == "chat" && s.design.chat:
		s.chat, s.chatUntil = m.Event.Info.Message, now.Add(chatTime)
		if m.From.Name != "" {
			s.chat = m.From.Name + ": " + s.chat
		}
		s.show(nil)
	}
}

// reaction is the emoji of a reaction; empty for what is none that is known.
func reaction(message string) string {
	var m struct {
		EmojiID string `json:"emojiId"`
	}
	if json.Unmarshal([]byte(message), &m) != nil {
		return ""
	}
	return reactions[m.EmojiID]
}

// ageChat takes away a message that has been read.
func (s *stream) ageChat(now time.Time) {
	if s.chat != "" && now.After(s.chatUntil) {
		s.chat = ""
		s.show(nil)
	}
}

// floatOf lets an emoji rise from somewhere on the right of the picture. The bitmap's number is
// beyond those of scenes.
func (pr *presenter) floatOf(f floating) []wire.Message {
	size := f.canvas.LabelHeight() * 7 / 4 &^ 1
	hash := fnv.New32a()
	hash.Write([]byte(f.emoji))
	id := floatIDs | hash.Sum32()
	var ms []wire.Message
	if !pr.floats[id] {
		pr.floats[id] = true
		ms = append(ms, bitmapMessage(id, pr.painter.labels.Emoji(label.Emoji{Text: f.emoji, Size: size})))
	}
	// Neighbours in time rise apart from each other.
	pr.floated++
	at := image.Pt(f.canvas.W*(70+int(pr.floated*11%24))/100&^1, f.canvas.H-size-2*f.canvas.Gap())
	rect := image.Rectangle{Min: at, Max: at.Add(image.Pt(size, size))}
	return append(ms, &wire.Float{ID: id, Rect: rect, Rise: uint16(f.canvas.H * 3 / 5), Time: floatTime})
}

// floatIDs marks the numbers of reactions' bitmaps.
const floatIDs = 1 << 31
