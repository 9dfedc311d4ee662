package api

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"amphi/server/store/storetest"
)

// figures makes TestFigures measure: go test ./server/api -run TestFigures -v -args -figures.
var figures = flag.Bool("figures", false, "measure speed, and print a line \"name value unit\" for each figure")

const (
	figureRooms   = 100_000
	figureTime    = 5 * time.Second // of each kind of request
	figureClients = 16
)

// TestFigures prints what an app's server gets over HTTP on this machine, on each database.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measures only with -figures")
	}
	storetest.Each(t, func(t *testing.T, where string) {
		b := newBenchOn(t, where, func(a *API) { a.Limits.RequestsPerSecond = 0 })
		name := "api." + filepath.Base(t.Name())
		fmt.Printf("%s.rooms.created %.0f 1/s\n", name, b.perSecond("POST", "/v2/rooms", b.admin, func(i int64) string { return fmt.Sprintf(`{"name":"new-%d"}`, i) }))
		fmt.Printf("%s.tokens.minted %.0f 1/s\n", name, b.perSecond("POST", "/v2/token", "", func(int64) string { return `{"code":"` + b.code("broadcaster") + `"}` }))
		b.fill()
		fmt.Printf("%s.rooms.page100.p99 %.2f ms\n", name, b.pageP99("/v2/rooms?limit=100"))
	})
}

// do makes a request and returns the body of the good answer.
func (b *bench) do(method, path, token, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := b.server.Client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return text, err
}

// perSecond lets several clients make the request as often as they can.
func (b *bench) perSecond(method, path, token string, body func(i int64) string) float64 {
	b.t.Helper()
	b.server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = figureClients
	var n atomic.Int64
	var group errgroup.Group
	began := time.Now()
	for range figureClients {
		group.Go(func() error {
			for time.Since(began) < figureTime {
				if _, err := b.do(method, path, token, body(n.Add(1))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.t.Fatal(err)
	}
	return float64(n.Load()) / time.Since(began).Seconds()
}

// fill makes copies of the seeded room, by SQL that both databases understand: ids are those of the room with another
// end.
func (b *bench) fill() {
	b.t.Helper()
	driver, where := "sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: b.path}).EscapedPath()}).String()
	if strings.HasPrefix(b.path, "postgres:") {
		driver, where = "pgx", b.path
	}
	db, err := sql.Open(driver, where)
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(b.t.Context(), fmt.Sprintf(`
		INSERT INTO rooms (id, workspace_id, template_id, name, name_key, description, enabled, region, large_room, size,
			max_duration_seconds, recording_json, polls_json, webhook_json, created_at, updated_at)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT substr(id, 1, 16) || CAST(10000000 + i AS TEXT), workspace_id, template_id, 'room-' || i, 'room-' || i, description, enabled, region,
			large_room, size, max_duration_seconds, recording_json, polls_json, webhook_json, created_at, updated_at
		FROM rooms, n WHERE name = 'main-stage'`, figureRooms))
	if err == nil {
		_, err = db.ExecContext(b.t.Context(), `ANALYZE`) // PostgreSQL does it by itself after a while
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// pageP99 reads a list to its end and returns what 99 of 100 pages take at most, in milliseconds.
func (b *bench) pageP99(path string) float64 {
	b.t.Helper()
	var took []time.Duration
	rooms := 0
	for start := ""; ; {
		began := time.Now()
		text, err := b.do("GET", path+"&start="+start, b.admin, "")
		took = append(took, time.Since(began))
		var page list[json.RawMessage]
		if err == nil {
			err = json.Unmarshal(text, &page)
		}
		if err != nil {
			b.t.Fatal(err)
		}
		if rooms, start = rooms+len(page.Data), page.Last; len(page.Data) < page.Limit {
			break
		}
	}
	if rooms < figureRooms {
		b.t.Fatalf("%d rooms", rooms)
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100]) / float64(time.Millisecond)
}
