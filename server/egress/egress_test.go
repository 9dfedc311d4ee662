package egress

import (
	"net/netip"
	"testing"
)

func TestPermits(t *testing.T) {
	rule := Rule{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}}
	for addr, want := range map[string]bool{
		"93.184.215.14": true, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "10.1.2.3": true, "fd12::1": true, "::ffff:10.1.2.3": true,
		"10.2.0.1": false, "127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "169.254.169.254": false, "fe80::1": false,
		"192.168.1.1": false, "172.16.0.1": false, "fc00::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "100.64.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
		"198.18.0.1": false, "2001:db8::1": false, "fe80::1%eth0": false, "64:ff9b:1::a00:1": false, "::ffff:0:127.0.0.1": false,
		"2001:0:1::1": false, "2001:20::1": false, "3fff::1": false, "5f00::1": false, "100::1": false, "fec0::1": false, "4000::1": false,
		"192.88.99.1": false, "192.0.0.8": false, "203.0.113.7": false, "240.0.0.1": false, "239.255.255.250": false, "2001:200::1": true,
	} {
		if err := rule.Permits(netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
