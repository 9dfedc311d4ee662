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

// refusal is an answer other than 200.
type refusal struct {
	status     int
	retryAfter time.Duration // zero when the receiver did not say
}

func (r refusal) Error() string {
	return fmt.Sprintf("receiver answered %d %s", r.status, http.StatusText(r.status))
}

// retryAfter is the pause that a receiver asked for.
func retryAfter(failure error) time.Duration {
	var r refusal
	if errors.As(failure, &r) {
		return r.retryAfter
	}
	return 0
}

// send posts the event once. Only the status 200 is success, as the contract says: a receiver that answers 202 or a
// redirect has not necessarily taken the event.
func send(ctx context.Context, client *http.Client, timeout time.Duration, e store.Event, to store.Receiver) error {
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
	if err := sign(req.Header, to.Secrets, e.ID, time.Now(), e.Payload); err != nil {
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
	if resp.StatusCode != http.StatusOK {
		return refusal{resp.StatusCode, parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return nil
}

// parseRetryAfter reads the two forms of the header (RFC 9110 §10.2.3): seconds, or a date. What is neither is ignored.
func parseRetryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(v); err == nil {
		const most = int(24 * time.Hour / time.Second) // so that it cannot overflow
		return time.Duration(min(max(n, 0), most)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// sign sets the headers that prove that the body comes from whoever has the secret, and when. While a secret is being
// replaced there are two, and a signature by each.
func sign(h http.Header, secrets []string, id string, at time.Time, body []byte) error {
	if len(secrets) == 0 {
		return errors.New("the workspace has no webhook secret")
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
		if err != nil || len(key) == 0 {
			return fmt.Errorf("the workspace's webhook secret is not %s and base64", secretPrefix)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.", id, timestamp)
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set(headerID, id)
	h.Set(headerTimestamp, timestamp)
	h.Set(headerSignature, strings.Join(signatures, " "))

	compat := hmac.New(sha256.New, []byte(secrets[0]))
	compat.Write(body)
	h.Set(headerCompat, hex.EncodeToString(compat.Sum(nil)))
	return nil
}
