package api

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"amphi/server/auth"
)

// figures makes TestFigures measure: go test ./server/api -run TestFigures -v -args -figures.
var figures = flag.Bool("figures", false, "measure speed, and print a line \"name value unit\" for each figure")

const figureRooms = 100_000

// TestFigures prints how fast the API is as a customer's server sees it, over HTTP on SQLite.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measures only with -figures")
	}
	b := newBench(t, func(a *API) { a.Limits.RequestsPerSecond = 0 })
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	request := func(method, path, body string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, b.server.URL+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+b.admin)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		return nil
	}

	for _, writers := range []int{1, 16} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var made atomic.Int64
		var group errgroup.Group
		began := time.Now()
		for w := range writers {
			group.Go(func() error {
				for i := 0; ctx.Err() == nil; i++ {
					if err := request("POST", "/v2/rooms", fmt.Sprintf(`{"name":"w%d-%d-%d"}`, writers, w, i)); err != nil {
						return err
					}
					made.Add(1)
				}
				return nil
			})
		}
		err := group.Wait()
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("api.rooms.clients%d %.0f 1/s\n", writers, float64(made.Load())/time.Since(began).Seconds())
	}

	b.fill(figureRooms)
	times := make([]time.Duration, 1000)
	for i := range times {
		began := time.Now()
		if err := request("GET", fmt.Sprintf("/v2/rooms?limit=100&start=%024x", (i*7919)%figureRooms+200), ""); err != nil {
			t.Fatal(err)
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	fmt.Printf("api.page100_of_100000.p50 %.2f ms\napi.page100_of_100000.p99 %.2f ms\n", times[500].Seconds()*1000, times[990].Seconds()*1000)

	const mints = 20_000
	began := time.Now()
	for range mints {
		if _, err := auth.MintApp(b.seed.Key, auth.Grant{RoomID: b.seed.Room.ID, Role: "broadcaster", UserID: "u"}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("api.token.mint %.2f us\n", time.Since(began).Seconds()*1e6/mints)
	times = times[:0]
	code := `{"code":"` + b.code("broadcaster") + `"}`
	for range 1000 {
		began := time.Now()
		if err := request("POST", "/v2/token", code); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	fmt.Printf("api.token.exchange.p99 %.2f ms\n", times[990].Seconds()*1000)
}

// fill writes that many rooms at once, with the ids 1 and on.
func (b *bench) fill(rooms int) {
	b.t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: b.path}).EscapedPath()}).String())
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO rooms (id, workspace_id, template_id, name, name_key, description, enabled, region, large_room, size,
		max_duration_seconds, recording_json, polls_json, webhook_json, created_at, updated_at)
		SELECT printf('%024x', i), ?, ?, 'filled-' || i, 'filled-' || i, '', TRUE, '', FALSE, 0, 0, 'null', 'null', 'null', 1700000000000 + i, 0 FROM n`,
		rooms, b.seed.Workspace.ID, b.seed.Room.TemplateID)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Store.Room(b.t.Context(), b.seed.Workspace.ID, fmt.Sprintf("%024x", rooms)); err != nil {
		b.t.Fatal(err)
	}
}
