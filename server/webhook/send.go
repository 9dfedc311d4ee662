package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"amphi/server/store"
)

const (
	secretPrefix = "whsec_"
	maxAnswer    = 64 << 10 // read so that the connection can be used again; what a receiver says is not looked at
)

// Headers of the signature (https://www.standardwebhooks.com), and the one that receivers of the 100ms service know.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	headerCompat    = "X-100ms-Signature"
)

// send posts the event once. The documented contract is that 200 is success; any other 2xx is taken as one too, since
// a receiver that answers 204 means the same and should not get the event for a day.
func send(ctx context.Context, client *http.Client, timeout time.Duration, e store.Event, to store.Webhook, secret string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(e.Payload))
	if err != nil {
		return errors.New("the receiver's URL is not valid")
	}
	for name, value := range to.Headers {
		if !strings.EqualFold(name, "Host") {
			req.Header.Set(name, value)
		} else {
			req.Host = value
		}
	}
	// After the workspace's own headers: these are not theirs to change.
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Amphi-Webhook/1")
	if err := sign(req.Header, secret, e.ID, time.Now(), e.Payload); err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			return fmt.Errorf("no answer within %v", timeout)
		}
		var withURL *url.Error
		if errors.As(err, &withURL) { // a receiver's URL may hold a secret, and errors are logged
			err = withURL.Err
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode/100 != 2 {
		return statusError(resp.StatusCode)
	}
	return nil
}

// sign sets the headers that prove that the body comes from whoever has the secret, and when.
func sign(h http.Header, secret, id string, at time.Time, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || len(key) == 0 {
		return fmt.Errorf("the workspace's webhook secret is not %s and base64", secretPrefix)
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	h.Set(headerID, id)
	h.Set(headerTimestamp, timestamp)
	h.Set(headerSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))

	compat := hmac.New(sha256.New, []byte(secret))
	compat.Write(body)
	h.Set(headerCompat, hex.EncodeToString(compat.Sum(nil)))
	return nil
}

// hostOf returns the receiver's host and port.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Host
}
