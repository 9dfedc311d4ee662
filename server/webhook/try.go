package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/http/httpguts"

	"amphi/server/store"
)

// maxHeaders bounds the headers that a workspace or a room adds to its webhooks.
const maxHeaders = 50

// Check says what is wrong with where events are to go.
func Check(w store.Webhook) error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("url must be an http or https URL")
	}
	if len(w.Headers) > maxHeaders {
		return fmt.Errorf("headers has more than %d entries", maxHeaders)
	}
	for name, value := range w.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("headers: %q is not a header", name)
		}
	}
	return nil
}

// TestEvent is the type of the event that Try sends. It tells of nothing.
const TestEvent = "webhook.test"

// Try sends a test event to the workspace's receiver, signed as all are, and says how long the answer took. It is sent
// once and leaves no trace in the outbox. The error is what the receiver did wrong.
func (s *Sender) Try(ctx context.Context, w store.Workspace, to store.Receiver) (time.Duration, error) {
	e := store.Event{ID: uuid.NewString(), WorkspaceID: w.ID, Type: TestEvent}
	var err error
	e.Payload, err = json.Marshal(map[string]any{"version": "2.0", "id": e.ID, "account_id": w.ID, "app_id": w.AppID,
		"timestamp": time.Now().UTC().Truncate(time.Second), "type": e.Type, "data": map[string]string{"message": "This is a test."}})
	if err != nil {
		return 0, err
	}
	client := newClient(s.AllowNetworks, s.Resolver)
	defer client.CloseIdleConnections()
	began := time.Now()
	err = send(ctx, client, s.Timeout, e, to)
	return time.Since(began), err
}
