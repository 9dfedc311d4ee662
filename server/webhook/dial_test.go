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

func TestPermitted(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for addr, want := range map[string]bool{
		"93.184.215.14": true, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "10.1.2.3": true, "fd12::1": true, "::ffff:10.1.2.3": true,
		"10.2.0.1": false, "127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "169.254.169.254": false, "fe80::1": false,
		"192.168.1.1": false, "172.16.0.1": false, "fc00::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "100.64.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
		"198.18.0.1": false, "2001:db8::1": false, "fe80::1%eth0": false, "64:ff9b:1::a00:1": false, "::ffff:0:127.0.0.1": false,
		"2001:0:1::1": false, "2001:20::1": false, "3fff::1": false, "5f00::1": false, "100::1": false, "fec0::1": false, "4000::1": false,
		"192.88.99.1": false, "192.0.0.8": false, "203.0.113.7": false, "240.0.0.1": false, "239.255.255.250": false, "2001:200::1": true,
	} {
		if err := permitted(netip.MustParseAddr(addr), allow); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
