package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"amphi/server/store"
)

func TestPrivateAddressIsRefused(t *testing.T) {
	h := newHouse(t, 1)
	rec := newReceiver(t, func(*http.Request, string) int { t.Error("reached"); return 200 })
	redirect := newReceiver(t, nil)
	redirect.Config.Handler = http.RedirectHandler(rec.URL, http.StatusTemporaryRedirect)
	port := netip.MustParseAddrPort(rec.Listener.Addr().String()).Port()
	client := newClient(nil, nil)
	defer client.CloseIdleConnections()
	e := store.Event{ID: "e", Payload: []byte("{}")}
	try := func(client *http.Client, url string) error {
		return send(t.Context(), client, time.Second, e, store.Receiver{Webhook: store.Webhook{URL: url}, Secrets: []string{h.seed.Workspace.WebhookSecret}})
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		err := try(client, fmt.Sprintf("http://%s:%d/?secret=S3CRET", host, port))
		if err != nil && strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("the URL is in the error: %v", err)
		}
		if err == nil || !strings.Contains(err.Error(), "is not a public address") {
			t.Errorf("%s: %v", host, err)
		}
	}

	// A name that resolves to a private address: what counts is the address that would be dialled.
	resolver, asked := fakeDNS(t, netip.MustParseAddr("127.0.0.1"))
	rebound := newClient(nil, resolver)
	defer rebound.CloseIdleConnections()
	if err := try(rebound, fmt.Sprintf("http://hook.example:%d", port)); err == nil || !strings.Contains(err.Error(), "127.0.0.1 is not a public address") {
		t.Errorf("a rebound name: %v", err)
	}
	select {
	case <-asked:
	default:
		t.Error("the name was not resolved by the test's server")
	}

	// A permitted receiver that redirects to a refused one: not followed.
	allowed := newClient(loopback, nil)
	defer allowed.CloseIdleConnections()
	if err := try(allowed, redirect.URL); err != (refusal{status: http.StatusTemporaryRedirect}) {
		t.Errorf("a redirect: %v", err)
	}
}

// fakeDNS is a resolver that answers every A question with addr; asked receives once it was.
func fakeDNS(t *testing.T, addr netip.Addr) (r *net.Resolver, asked <-chan struct{}) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch := make(chan struct{}, 1)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
				continue
			}
			a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true}, Questions: q.Questions}
			if q.Questions[0].Type == dnsmessage.TypeA {
				a.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: addr.As4()},
				}}
				select {
				case ch <- struct{}{}:
				default:
				}
			}
			if out, err := a.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, ch
}
