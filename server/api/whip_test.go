package api

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"amphi/server/auth"
)

// TestWHIPDoors: who may publish, and where. The offer is none, so whoever comes in is told that.
func TestWHIPDoors(t *testing.T) {
	var log bytes.Buffer
	b := newBench(t, func(a *API) { a.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	const inside = `"detail":"the offer is no session description`
	mint := func(roomID string, life time.Duration) string {
		token, err := auth.MintApp(b.seed.Key, auth.Grant{RoomID: roomID, Role: "broadcaster", UserID: "u"}, life)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	room := "/whip/" + b.seed.Room.ID
	other := b.field("id", "POST", "/v2/rooms", `{"name":"other"}`)
	otherCode := b.field("code", "POST", "/v2/room-codes/room/"+other+"/role/broadcaster", "")
	token, code := mint(b.seed.Room.ID, time.Hour), b.code("broadcaster")
	for _, c := range []struct {
		path, token string
		status      int
		body        string
	}{
		{"/whip", token, 400, inside},
		{room, token, 400, inside},
		{"/whip/" + code, token, 400, inside},
		{"/whip", code, 400, inside},
		{room, code, 400, inside},
		{"/whip/" + code, "", 400, inside},
		{"/whip/" + strings.ToUpper(code), "", 400, inside},
		{"/whep", token, 400, inside},
		{"/whep/" + code, "", 400, inside},
		{"/whep/" + other, token, 403, "the token is for another room"},
		{"/whep", "", 401, "token is missing"},
		{"/whip", "", 401, "token is missing"},
		{room, "", 401, "token is missing"},
		{room, "x", 401, "token is malformed"},
		{room, b.admin, 401, "token is of the wrong type"},
		{room, mint(b.seed.Room.ID, -time.Hour), 401, "token is expired"},
		{"/whip/" + other, token, 403, "the token is for another room"},
		{"/whip/" + otherCode, token, 403, "the token is for another room"},
		{"/whip/nowhere", token, 403, "the token is for another room"},
		{"/whip", mint("65b0c1d2e3f405162738495a", time.Hour), 404, "room not found"},
		{"/whip/aaa-aaaa-aaa", "", 404, "room code not found"},
	} {
		resp, body := b.call("POST", c.path, c.token, "garbage", "Content-Type", "application/sdp")
		h := resp.Header
		if resp.StatusCode != c.status || !strings.Contains(body, c.body) || h.Get("Content-Type") != "application/problem+json" || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("POST %s with %.20q: %d %v %s", c.path, c.token, resp.StatusCode, h, body)
		}
	}
	refused := func(status int, want, method, path, kind string) {
		resp, body := b.call(method, path, token, "{}", "Content-Type", kind)
		if resp.StatusCode != status || strings.TrimSpace(body) != want || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %v %s", method, path, resp.StatusCode, resp.Header, body)
		}
	}
	refused(415, `{"code":415,"message":"Content-Type must be application/sdp","title":"Unsupported Media Type","status":415,"detail":"Content-Type must be application/sdp"}`,
		"POST", room, "application/json")
	for _, method := range []string{"PATCH", "DELETE"} {
		refused(404, `{"code":404,"message":"no such session","title":"Not Found","status":404,"detail":"no such session"}`, method, room+"/none", "application/trickle-ice-sdpfrag")
	}
	b.field("id", "POST", "/v2/rooms/"+other, `{"enabled":false}`)
	if resp, body := b.call("POST", "/whip", otherCode, "garbage", "Content-Type", "application/sdp"); resp.StatusCode != 403 || !strings.Contains(body, "room is disabled") {
		t.Errorf("a disabled room: %d %s", resp.StatusCode, body)
	}
	if strings.Contains(log.String(), code) || strings.Contains(log.String(), otherCode) || !strings.Contains(log.String(), "/whip/{room}") {
		t.Errorf("room codes are in the log, or nothing is:\n%s", &log)
	}
}

// TestWHIPFromPages: what browsers ask before, and may read after.
func TestWHIPFromPages(t *testing.T) {
	b := newBench(t, nil)
	for path, methods := range map[string]string{"/whip": "POST, OPTIONS", "/whip/room": "POST, OPTIONS", "/whip/room/session": "DELETE, PATCH, OPTIONS", "/whep": "POST, OPTIONS", "/whep/room/session": "DELETE, PATCH, OPTIONS"} {
		resp, _ := b.call("OPTIONS", path, "", "", "Origin", "https://studio.example", "Access-Control-Request-Method", "POST")
		h := resp.Header
		if resp.StatusCode != 204 || h.Get("Access-Control-Allow-Methods") != methods || h.Get("Access-Control-Allow-Headers") != "authorization, content-type, if-match" ||
			h.Get("Access-Control-Allow-Origin") != "*" || (h.Get("Accept-Post") == "application/sdp") != strings.HasPrefix(methods, "POST") {
			t.Errorf("OPTIONS %s: %d %v", path, resp.StatusCode, h)
		}
		resp, body := b.call("GET", path, "", "")
		if resp.StatusCode != 204 || body != "" || !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "Location, ETag, Link") {
			t.Errorf("GET %s: %d %v %s", path, resp.StatusCode, resp.Header, body)
		}
		if resp, _ := b.call("PUT", path, "", ""); resp.StatusCode != 405 {
			t.Errorf("PUT %s: %d", path, resp.StatusCode)
		}
	}
}
