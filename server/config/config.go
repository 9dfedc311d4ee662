// Package config holds every setting of the server in one struct. A setting comes from, in rising order of weight:
// its default, the YAML file, the environment (AMPHI_*), the command line. All four are driven by one table
// (table.go), so that none of them can know a setting that the others do not. amphi.example.yml is the manual; a test
// holds it against the table.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Config is the whole configuration of a server. The meaning of each field is written once, in amphi.example.yml.
type Config struct {
	Addr            string
	Data            string
	DB              string // URL of a PostgreSQL database; it may hold a password
	PublicURL       string
	ShutdownTimeout time.Duration

	Log         Log
	HTTP        HTTP
	RTC         RTC
	Audio       Audio
	TURN        TURN
	RTMP        RTMP
	Pull        Pull
	Auth        Auth
	Compositor  Compositor
	Composition Composition
	Limits      Limits
	Chat        Chat
	Whiteboard  Whiteboard
	Webhook     Webhook
	Analytics   Analytics
	Storage     Storage

	// File is the configuration file that was read, empty when there was none.
	File string
	// UnknownEnv lists variables that look like ours and are not: most likely somebody's typing error.
	UnknownEnv []string
}

// Log says what is logged and how.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// HTTP is about who stands between us and the clients.
type HTTP struct {
	TrustedProxies []netip.Prefix // their X-Forwarded-For is believed
	MetricsFrom    []netip.Prefix // who may read /metrics
	EmbedFrom      []string       // origins whose pages may embed ours
}

// RTC is about the media sockets.
type RTC struct {
	Port       int          // UDP and TCP; 0 takes a free one
	NodeIPs    []netip.Addr // announced to clients instead of the interfaces' own addresses
	Loopback   bool         // announce 127.0.0.1 too
	ICEServers []ICEServer
}

// Audio is about who is heard in large rooms.
type Audio struct {
	Loudest int // microphones that are forwarded at a time; 0: all
}

// ICEServer is a STUN or TURN server that clients are told to use. The JSON form is that of RTCIceServer (W3C WebRTC
// §4.2.3), the YAML form is the same.
type ICEServer struct {
	URLs       []string `yaml:"urls" json:"urls"`
	Username   string   `yaml:"username,omitempty" json:"username,omitempty"`
	Credential string   `yaml:"credential,omitempty" json:"credential,omitempty"`
}

// TURN is about the relay for clients whose network lets no media through.
type TURN struct {
	Enabled            bool
	Port               int    // UDP and TCP; 0 takes a free one
	TLSPort            int    // used with a certificate
	Host               string // that clients are told; empty: the announced addresses
	Certificate, Key   string // PEM files; an empty key is in the certificate's file
	Lifetime           time.Duration
	Allocations        int
	AllocationsPerPeer int
}

// RTMP is about encoders that send with stream keys, and about services that rooms are pushed to.
type RTMP struct {
	Port          int            // TCP; 0: none is listened on
	ReturnWithin  time.Duration  // of an encoder that has lost its connection
	AllowNetworks []netip.Prefix // private ones that may be pushed to
}

// Pull is about cameras and streams that are fetched onto stages.
type Pull struct {
	AllowNetworks []netip.Prefix // private ones that may be fetched from
}

// Chat is about what is said in rooms.
type Chat struct {
	History      int           // messages of the session that somebody who joins is sent; 0: none
	Keep         time.Duration // how long messages stay on record; 0: none are recorded
	KeepMessages int           // and how many
}

// Whiteboard is about the store of what is drawn, a server of its own. Both must be set, or
// there are no whiteboards.
type Whiteboard struct {
	Addr   string // host and port that clients reach it at, over https
	Secret string // signs the tokens that it takes
}

// Auth is about tokens that this server mints itself.
type Auth struct {
	TokenLifetime time.Duration
}

// Compositor is about the media worker processes.
type Compositor struct {
	Path string // of the amphi-compositor binary; empty: beside this binary, then $PATH
}

// Composition is about pages that are composed instead of stages: those that a meeting_url names.
type Composition struct {
	Browser       string // Chromium; empty: there are no such pages
	User          string // whom browsers run as
	NoSandbox     bool
	Pages         int            // at a time
	AllowNetworks []netip.Prefix // private ones that pages may reach
}

// Limits bound what clients can make the server do or keep.
type Limits struct {
	BodyBytes         int // of one HTTP request
	MessageBytes      int // of one WebSocket message
	RequestsPerSecond int // per client address, over all HTTP endpoints of the API; 0 = no limit
	RequestBurst      int
	PeersPerRoom      int // a room may set less, with its size
	ChatPerSecond     int // broadcasts per peer
	LiveStreams       int // composed at a time, each by a process of its own; 0 = as many as the processors can
}

// Webhook is about delivering events to the user's own servers.
type Webhook struct {
	URL           string   // written to the workspace when the server starts, if not empty
	Headers       []string // "Name: value", with URL
	AllowNetworks []netip.Prefix
	Timeout       time.Duration   // of one attempt
	RetryPauses   []time.Duration // after the first, second, … failed attempt; the last one repeats
	RetryFor      time.Duration   // after that the event is a dead letter
	Keep          time.Duration   // how long delivered events and dead letters stay on record
	KeepEvents    int             // and how many of them
}

// Analytics is about what is kept of sessions besides their records.
type Analytics struct {
	Keep       time.Duration // how long
	KeepEvents int           // and how many events, and reports of clients
}

// Storage is about where recordings go.
type Storage struct {
	Keep      time.Duration // how long files stay in the data directory; 0: for ever
	ReserveMB int           // of the disk that recordings leave to others

	Bucket   string // with the API of S3; empty: the data directory
	SpoolMB  int    // of a live stream's segments, that may wait for the bucket
	Endpoint string // URL; empty: Amazon's
	Region   string
	Prefix   string // of all keys
	Key      string
	Secret   string
}

// Default returns the configuration of a server that was told nothing.
func Default() Config {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	return Config{
		Addr:            ":8080",
		Data:            "./data",
		ShutdownTimeout: 10 * time.Second,
		Log:             Log{Level: "info", Format: "text"},
		HTTP:            HTTP{TrustedProxies: loopback, MetricsFrom: loopback},
		RTC:             RTC{Port: 7882},
		Audio:           Audio{Loudest: 8},
		TURN:            TURN{Port: 3478, TLSPort: 5349, Lifetime: 24 * time.Hour, Allocations: 4000, AllocationsPerPeer: 24},
		RTMP:            RTMP{ReturnWithin: 20 * time.Second},
		Auth:            Auth{TokenLifetime: 24 * time.Hour},
		Composition:     Composition{Pages: 1},
		Limits: Limits{
			BodyBytes:         1 << 20,
			MessageBytes:      1 << 20,
			RequestsPerSecond: 100,
			RequestBurst:      1000,
			PeersPerRoom:      2500,
			ChatPerSecond:     10,
		},
		Chat: Chat{History: 50, Keep: 30 * 24 * time.Hour, KeepMessages: 1_000_000},
		Webhook: Webhook{
			Timeout: 10 * time.Second,
			RetryPauses: []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second,
				2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour},
			RetryFor:   24 * time.Hour,
			Keep:       30 * 24 * time.Hour,
			KeepEvents: 50_000,
		},
		Analytics: Analytics{Keep: 30 * 24 * time.Hour, KeepEvents: 1_000_000},
		Storage:   Storage{Keep: 15 * 24 * time.Hour, ReserveMB: 256, SpoolMB: 2048},
	}
}

// Database is where the records are, as store.Open takes it: the URL of the PostgreSQL database, or the path of the
// SQLite file.
func (c *Config) Database() string {
	if c.DB != "" {
		return c.DB
	}
	return filepath.Join(c.Data, "amphi.db")
}

// WebhookHeaders returns Webhook.Headers by name. Only valid after Validate.
func (c *Config) WebhookHeaders() map[string]string {
	if len(c.Webhook.Headers) == 0 {
		return nil
	}
	m := make(map[string]string, len(c.Webhook.Headers))
	for _, h := range c.Webhook.Headers {
		name, value, _ := strings.Cut(h, ":")
		m[http.CanonicalHeaderKey(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return m
}

// Validate tells everything that is wrong with the values, each with the key's name and what would be right.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	atLeast := func(key string, n, least int) {
		if n < least {
			bad(key, "%d is too small, at least %d is needed", n, least)
		}
	}
	positive := func(key string, d time.Duration) {
		if d <= 0 {
			bad(key, "%v is not a duration above zero, such as 10s", d)
		}
	}

	if _, port, err := net.SplitHostPort(c.Addr); err != nil {
		bad("addr", "%q is not an address to listen on, such as :8080 or 127.0.0.1:8080", c.Addr)
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		bad("addr", "%q has no valid port, such as :8080", c.Addr)
	}
	if c.Data == "" {
		bad("data", "is empty; it is the directory for the database and recordings, such as ./data")
	}
	if c.DB != "" {
		// Never the value: it holds a password.
		if u, err := url.Parse(c.DB); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			bad("db", "is not a URL such as postgres://user:password@host:5432/amphi; leave it empty for SQLite in the data directory")
		}
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			bad("public_url", "%q is not a URL such as https://live.example.org", c.PublicURL)
		} else if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			bad("public_url", "%q has more than scheme and host; clients drop the rest", c.PublicURL)
		}
	}
	for _, origin := range c.HTTP.EmbedFrom {
		// It becomes a part of a header: nothing but an origin may be in it.
		if u, err := url.Parse(origin); err != nil || u.Scheme != "http" && u.Scheme != "https" || origin != u.Scheme+"://"+u.Host ||
			strings.ContainsAny(u.Host, "*;, '\"") || u.Host == "" {
			bad("http.embed_from", "%q is not an origin such as https://www.example.org", origin)
		}
	}
	positive("shutdown_timeout", c.ShutdownTimeout)
	atLeast("storage.reserve_mb", c.Storage.ReserveMB, 0)
	atLeast("storage.spool_mb", c.Storage.SpoolMB, 1)
	if c.Storage.Keep < 0 {
		bad("storage.keep", "%v is less than nothing; 0s keeps recordings for ever", c.Storage.Keep)
	}
	if e := c.Storage.Endpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			bad("storage.endpoint", "%q is not a URL such as https://s3.example.org", e)
		}
	}
	if !oneOf(c.Log.Level, "debug", "info", "warn", "error") {
		bad("log.level", "%q is not one of debug, info, warn, error", c.Log.Level)
	}
	if !oneOf(c.Log.Format, "text", "json") {
		bad("log.format", "%q is not one of text, json", c.Log.Format)
	}
	if c.RTC.Port < 0 || c.RTC.Port > 65535 {
		bad("rtc.port", "%d is not a UDP port (1 to 65535, or 0 for a free one)", c.RTC.Port)
	}
	atLeast("audio.loudest", c.Audio.Loudest, 0)
	for _, s := range c.RTC.ICEServers {
		if err := s.validate(); err != nil {
			bad("rtc.ice_servers", "%v", err)
		}
	}
	for key, port := range map[string]int{"turn.port": c.TURN.Port, "turn.tls_port": c.TURN.TLSPort} {
		if port < 0 || port > 65535 {
			bad(key, "%d is not a port (1 to 65535, or 0 for a free one)", port)
		}
	}
	if c.RTMP.Port < 0 || c.RTMP.Port > 65535 {
		bad("rtmp.port", "%d is not a port (1 to 65535, such as 1935, or 0 for none)", c.RTMP.Port)
	}
	if c.RTMP.ReturnWithin < 0 || c.RTMP.ReturnWithin > 10*time.Minute {
		bad("rtmp.return_within", "%v is not from 0s to 10m", c.RTMP.ReturnWithin)
	}
	if strings.ContainsAny(c.TURN.Host, ":/? ") {
		bad("turn.host", "%q is not a name such as turn.example.org", c.TURN.Host)
	}
	positive("turn.lifetime", c.TURN.Lifetime)
	atLeast("turn.allocations", c.TURN.Allocations, 1)
	atLeast("turn.allocations_per_peer", c.TURN.AllocationsPerPeer, 1)
	positive("auth.token_lifetime", c.Auth.TokenLifetime)
	atLeast("limits.body_bytes", c.Limits.BodyBytes, 1024)
	atLeast("limits.message_bytes", c.Limits.MessageBytes, 64<<10) // an offer with many m-lines exceeds 64 KiB
	atLeast("limits.requests_per_second", c.Limits.RequestsPerSecond, 0)
	atLeast("limits.request_burst", c.Limits.RequestBurst, 1)
	atLeast("limits.peers_per_room", c.Limits.PeersPerRoom, 1)
	atLeast("limits.chat_per_second", c.Limits.ChatPerSecond, 1)
	atLeast("composition.pages", c.Composition.Pages, 1)
	atLeast("limits.live_streams", c.Limits.LiveStreams, 0)
	atLeast("chat.history", c.Chat.History, 0)
	if c.Chat.Keep < 0 {
		bad("chat.keep", "%v is not a duration, such as 720h, nor 0", c.Chat.Keep)
	}
	if n := len(c.Whiteboard.Secret); n > 0 && n < 32 {
		bad("whiteboard.secret", "is shorter than 32 bytes")
	}
	atLeast("chat.keep_messages", c.Chat.KeepMessages, 0)
	if c.Webhook.URL != "" {
		if u, err := url.Parse(c.Webhook.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			bad("webhook.url", "%q is not a URL such as https://app.example.org/hook", c.Webhook.URL)
		}
	}
	for _, h := range c.Webhook.Headers {
		// The value may be a secret: say the name only.
		if name, _, ok := strings.Cut(h, ":"); !ok || strings.TrimSpace(name) == "" {
			bad("webhook.headers", "an entry is not of the form \"Name: value\"")
		}
	}
	positive("webhook.timeout", c.Webhook.Timeout)
	positive("webhook.retry_for", c.Webhook.RetryFor)
	positive("webhook.keep", c.Webhook.Keep)
	atLeast("webhook.keep_events", c.Webhook.KeepEvents, 0)
	positive("analytics.keep", c.Analytics.Keep)
	atLeast("analytics.keep_events", c.Analytics.KeepEvents, 0)
	if len(c.Webhook.RetryPauses) == 0 {
		bad("webhook.retry_pauses", "is empty; give at least one pause, such as 1s")
	}
	for _, p := range c.Webhook.RetryPauses {
		positive("webhook.retry_pauses", p)
	}
	return errors.Join(errs...)
}

func (s ICEServer) validate() error {
	if len(s.URLs) == 0 {
		return errors.New("an entry has no urls")
	}
	for _, raw := range s.URLs {
		scheme, rest, _ := strings.Cut(raw, ":")
		if !oneOf(scheme, "stun", "stuns", "turn", "turns") || rest == "" || strings.HasPrefix(rest, "//") {
			return fmt.Errorf("%q is not of the form stun:host:port or turn:host:port?transport=udp (RFC 7064, 7065)", raw)
		}
		if strings.HasPrefix(scheme, "turn") && (s.Username == "" || s.Credential == "") {
			return fmt.Errorf("%q needs a username and a credential", raw)
		}
	}
	return nil
}

func oneOf(s string, of ...string) bool {
	for _, o := range of {
		if s == o {
			return true
		}
	}
	return false
}
