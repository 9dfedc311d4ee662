package rtmp

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"amphi/server/egress"
)

// Address is where a stream is pushed to: rtmp://host/app/KEY or rtmps://host/app/KEY. Everything in it
// but the host may be secret, so that is all it prints.
type Address struct {
	secure bool
	host   string // with the port
	app    string
	key    string // with the query, as services expect it
}

// errAddress has no more to say: the text is secret.
var errAddress = errors.New("not an address of the form rtmp://host/app/STREAM_KEY or rtmps://…")

// ParseAddress reads an address.
func ParseAddress(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "rtmp" && u.Scheme != "rtmps" || u.Hostname() == "" {
		return Address{}, errAddress
	}
	a := Address{secure: u.Scheme == "rtmps"}
	port := u.Port()
	if port == "" {
		port = "1935"
		if a.secure {
			port = "443"
		}
	}
	a.host = net.JoinHostPort(u.Hostname(), port)
	path := strings.TrimPrefix(u.Path, "/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		a.app, a.key = path[:i], path[i+1:]
	} else {
		a.key = path
	}
	if u.RawQuery != "" {
		a.key += "?" + u.RawQuery
	}
	if a.key == "" {
		return Address{}, errAddress
	}
	return a, nil
}

// permitted says whether the address may be pushed to, as far as that is known: the address of a name is asked for, and
// looked at, with each connection.
func (a Address) permitted(rule egress.Rule) error {
	host, _, err := net.SplitHostPort(a.host)
	if err != nil {
		return errAddress
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return rule.Permits(ip)
}

// String is the address without what may be secret.
func (a Address) String() string { return a.scheme() + "://" + a.host }

// LogValue implements [slog.LogValuer].
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

func (a Address) scheme() string {
	if a.secure {
		return "rtmps"
	}
	return "rtmp"
}

// url is what servers are told as tcUrl: the address without the key.
func (a Address) url() string { return a.String() + "/" + a.app }

// redact takes what is secret out of a text of a server, which may say back what it was told, and bounds it.
func (a Address) redact(text string) string {
	for _, secret := range []string{a.key, a.app} {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	const most = 200
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}
