package dashboard

import (
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/store"
)

// measure makes TestFigures measure: go test ./server/dashboard -run TestFigures -v -args -figures.
var measure = flag.Bool("figures", false, "measure speed, and print a line \"name value unit\" for each figure")

const (
	figureRooms = 100_000
	figureAsks  = 25 // of each page
)

// TestFigures prints how long each page of the dashboard takes the server where there are a hundred thousand rooms.
func TestFigures(t *testing.T) {
	if !*measure {
		t.Skip("measures only with -figures")
	}
	k := desked(t, account.Admin, parts)
	session := held(t, k)
	fillRooms(t, k.path)
	codes, err := k.store.RoomCodes(t.Context(), k.seed.Room.ID, store.CodeFilter{Role: policy.RoleBroadcaster}, store.Page{Limit: 1})
	if err != nil || len(codes) != 1 {
		t.Fatal(codes, err)
	}
	k.join("ann", policy.RoleBroadcaster)
	things := map[string]string{"app": k.seed.Room.TemplateID, "room": k.seed.Room.ID, "session": session, "code": codes[0].Code, "role": policy.RoleBroadcaster, "peer": "ann"}
	pages := []string{"/dashboard/rooms?q=room-77", "/dashboard/rooms?q=nothing-of-the-kind", "/dashboard/rooms?state=live", "/dashboard/sessions?room=main-stage"}
	for _, a := range addresses(t) {
		if a.method == http.MethodGet && a.need != "" {
			pages = append(pages, a.filled(things))
		}
	}
	for _, page := range pages {
		var took []time.Duration
		for range figureAsks {
			began := time.Now()
			status, _, _ := k.do(http.MethodGet, page, nil)
			if status == http.StatusNotFound || status >= 500 {
				t.Logf("%s: %d", page, status)
				took = nil
				break
			}
			took = append(took, time.Since(began))
		}
		if len(took) == 0 {
			continue // a recording, a picture: there is none
		}
		slices.Sort(took)
		name := strings.NewReplacer("/dashboard", "", k.seed.Room.ID, "ROOM", k.seed.Room.TemplateID, "APP", session, "SESSION", codes[0].Code, "CODE").Replace(page)
		fmt.Printf("dashboard.rooms100k%s.p50 %.1f ms\n", name, float64(took[len(took)/2])/float64(time.Millisecond))
		fmt.Printf("dashboard.rooms100k%s.max %.1f ms\n", name, float64(took[len(took)-1])/float64(time.Millisecond))
	}
}

// fillRooms copies the first room, by SQL: ids are those of the room with another end.
func fillRooms(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`
		INSERT INTO rooms (id, workspace_id, template_id, name, name_key, description, enabled, region, large_room, size,
			max_duration_seconds, recording_json, polls_json, webhook_json, created_at, updated_at)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT substr(id, 1, 16) || CAST(10000000 + i AS TEXT), workspace_id, template_id, 'room-' || i, 'room-' || i, description, enabled, region,
			large_room, size, max_duration_seconds, recording_json, polls_json, webhook_json, created_at, updated_at
		FROM rooms, n WHERE name = 'main-stage'`, figureRooms))
	if err != nil {
		t.Fatal(err)
	}
}
