package config

import (
	"strings"
)

// setting is one row of the table: everything that the file, the environment and the command line know about it.
type setting struct {
	key  string // in the file, dots between the levels
	flag string // on the command line; made from key when empty
	help string // one line for --help
	val  value
}

// name returns the flag's name. Its form in the environment is made from it, see env.
func (s setting) name() string {
	if s.flag != "" {
		return s.flag
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

// env returns the environment variable's name: AMPHI_RTC_PORT for --rtc-port.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.name(), "-", "_"))
}

const envPrefix = "AMPHI_"

// table lists every setting of c. A new setting is a field, a default, a row here and an entry in amphi.example.yml;
// the tests complain about whichever is missing.
func (c *Config) table() []setting {
	return []setting{
		{key: "addr", help: "address to serve HTTP on; port 0 takes a free one", val: (*stringValue)(&c.Addr)},
		{key: "data", help: "directory of the database and recordings", val: (*stringValue)(&c.Data)},
		{key: "db", help: "postgres://user:password@host/name for PostgreSQL; empty: SQLite in the data directory", val: (*stringValue)(&c.DB)},
		{key: "public_url", help: "address that clients reach this server at; empty: what each request says", val: (*stringValue)(&c.PublicURL)},
		{key: "shutdown_timeout", help: "how long a stopping server waits for its clients", val: (*durationValue)(&c.ShutdownTimeout)},

		{key: "log.level", help: "debug, info, warn or error", val: (*stringValue)(&c.Log.Level)},
		{key: "log.format", help: "text or json", val: (*stringValue)(&c.Log.Format)},

		{key: "http.trusted_proxies", help: "networks whose X-Forwarded-For is believed", val: prefixes(&c.HTTP.TrustedProxies)},
		{key: "http.metrics_from", help: "networks that may read /metrics", val: prefixes(&c.HTTP.MetricsFrom)},
		{key: "http.embed_from", help: "origins whose pages may embed the meeting pages", val: texts(&c.HTTP.EmbedFrom)},

		{key: "rtc.port", help: "UDP and TCP port for all media; 0 takes a free one", val: (*intValue)(&c.RTC.Port)},
		{key: "rtc.node_ip", flag: "node-ip", help: "addresses announced to clients, when they are not the machine's own", val: addrs(&c.RTC.NodeIPs)},
		{key: "rtc.loopback", help: "announce 127.0.0.1 too, for clients on this machine", val: (*boolValue)(&c.RTC.Loopback)},
		{key: "rtc.ice_servers", help: "STUN and TURN servers for the clients, as in the file: [{urls: [...]}]", val: (*iceValue)(&c.RTC.ICEServers)},

		{key: "audio.loudest", help: "microphones forwarded at a time; 0: all", val: (*intValue)(&c.Audio.Loudest)},

		{key: "turn.enabled", help: "relay media for clients whose network lets none through", val: (*boolValue)(&c.TURN.Enabled)},
		{key: "turn.port", help: "UDP and TCP port of TURN; 0 takes a free one", val: (*intValue)(&c.TURN.Port)},
		{key: "turn.tls_port", help: "TCP port of TURN with TLS, if there is a certificate", val: (*intValue)(&c.TURN.TLSPort)},
		{key: "turn.host", help: "name that clients reach TURN at; empty: the announced addresses", val: (*stringValue)(&c.TURN.Host)},
		{key: "turn.certificate", help: "PEM file of the certificate for turn.host", val: (*stringValue)(&c.TURN.Certificate)},
		{key: "turn.key", help: "PEM file of its key; empty: the certificate's", val: (*stringValue)(&c.TURN.Key)},
		{key: "turn.lifetime", help: "how long the credentials of clients are valid", val: (*durationValue)(&c.TURN.Lifetime)},
		{key: "turn.allocations", help: "relays at a time", val: (*intValue)(&c.TURN.Allocations)},
		{key: "turn.allocations_per_peer", help: "relays of one peer", val: (*intValue)(&c.TURN.AllocationsPerPeer)},

		{key: "auth.token_lifetime", help: "how long tokens minted for room codes are valid", val: (*durationValue)(&c.Auth.TokenLifetime)},

		{key: "compositor.path", help: "the amphi-compositor binary; empty: beside amphi, then $PATH", val: (*stringValue)(&c.Compositor.Path)},

		{key: "composition.browser", help: "Chromium, for meeting URLs of other pages than this server's; empty: they are refused", val: (*stringValue)(&c.Composition.Browser)},
		{key: "composition.user", help: "whom the browser runs as when the server is root's, such as nobody", val: (*stringValue)(&c.Composition.User)},
		{key: "composition.no_sandbox", help: "run the browser without its sandbox, where there are no user namespaces", val: (*boolValue)(&c.Composition.NoSandbox)},
		{key: "composition.pages", help: "pages composed at a time", val: (*intValue)(&c.Composition.Pages)},
		{key: "composition.allow_networks", help: "private networks that composed pages may reach", val: prefixes(&c.Composition.AllowNetworks)},

		{key: "limits.body_bytes", help: "largest HTTP request body", val: (*intValue)(&c.Limits.BodyBytes)},
		{key: "limits.message_bytes", help: "largest WebSocket message", val: (*intValue)(&c.Limits.MessageBytes)},
		{key: "limits.requests_per_second", help: "HTTP API requests per client address; 0: no limit", val: (*intValue)(&c.Limits.RequestsPerSecond)},
		{key: "limits.request_burst", help: "requests that may come at once", val: (*intValue)(&c.Limits.RequestBurst)},
		{key: "limits.peers_per_room", help: "people in a room; a room may set less", val: (*intValue)(&c.Limits.PeersPerRoom)},
		{key: "limits.chat_per_second", help: "messages per person", val: (*intValue)(&c.Limits.ChatPerSecond)},
		{key: "limits.live_streams", help: "live streams composed at a time; 0: as many as the processors can", val: (*intValue)(&c.Limits.LiveStreams)},

		{key: "rtmp.port", help: "TCP port for encoders that send with stream keys, such as 1935; 0: none", val: (*intValue)(&c.RTMP.Port)},
		{key: "rtmp.return_within", help: "how long an encoder that lost its connection keeps its place on stage", val: (*durationValue)(&c.RTMP.ReturnWithin)},
		{key: "rtmp.allow_networks", help: "private networks that rooms may be pushed to", val: prefixes(&c.RTMP.AllowNetworks)},

		{key: "pull.allow_networks", help: "private networks that cameras and streams may be fetched from", val: prefixes(&c.Pull.AllowNetworks)},

		{key: "chat.history", help: "messages that somebody who joins is sent; 0: none", val: (*intValue)(&c.Chat.History)},
		{key: "chat.keep", help: "how long messages stay on record; 0: none are recorded", val: (*durationValue)(&c.Chat.Keep)},
		{key: "chat.keep_messages", help: "how many messages stay on record", val: (*intValue)(&c.Chat.KeepMessages)},

		{key: "whiteboard.addr", help: "host of the whiteboard store; empty: no whiteboards", val: (*stringValue)(&c.Whiteboard.Addr)},
		{key: "whiteboard.secret", help: "signs the tokens for the whiteboard store", val: (*stringValue)(&c.Whiteboard.Secret)},

		{key: "webhook.url", help: "the workspace's webhook, set at each start when not empty", val: (*stringValue)(&c.Webhook.URL)},
		{key: "webhook.headers", help: "sent with every delivery, each \"Name: value\"", val: texts(&c.Webhook.Headers)},
		{key: "webhook.allow_networks", help: "private networks that webhooks may go to", val: prefixes(&c.Webhook.AllowNetworks)},
		{key: "webhook.timeout", help: "of one delivery attempt", val: (*durationValue)(&c.Webhook.Timeout)},
		{key: "webhook.retry_pauses", help: "pauses between attempts; the last one repeats", val: durations(&c.Webhook.RetryPauses)},
		{key: "webhook.retry_for", help: "how long delivery is tried before the event is a dead letter", val: (*durationValue)(&c.Webhook.RetryFor)},
		{key: "webhook.keep", help: "how long finished deliveries stay on record", val: (*durationValue)(&c.Webhook.Keep)},
		{key: "webhook.keep_events", help: "how many finished deliveries stay on record", val: (*intValue)(&c.Webhook.KeepEvents)},

		{key: "analytics.keep", help: "how long events of sessions and reports of clients stay", val: (*durationValue)(&c.Analytics.Keep)},
		{key: "analytics.keep_events", help: "how many of each stay", val: (*intValue)(&c.Analytics.KeepEvents)},

		{key: "storage.keep", help: "how long recordings stay in the data directory; 0: for ever", val: (*durationValue)(&c.Storage.Keep)},
		{key: "storage.reserve_mb", help: "MB of the disk that recordings leave to others", val: (*intValue)(&c.Storage.ReserveMB)},
		{key: "storage.bucket", help: "S3 bucket for recordings and for what viewers of an event go back to; empty: the data directory", val: (*stringValue)(&c.Storage.Bucket)},
		{key: "storage.spool_mb", help: "MB of each live stream that wait on disk when the bucket takes nothing", val: (*intValue)(&c.Storage.SpoolMB)},
		{key: "storage.endpoint", help: "URL of the service that has the bucket; empty: Amazon's", val: (*stringValue)(&c.Storage.Endpoint)},
		{key: "storage.region", help: "of the bucket", val: (*stringValue)(&c.Storage.Region)},
		{key: "storage.prefix", help: "of the names of all files in the bucket", val: (*stringValue)(&c.Storage.Prefix)},
		{key: "storage.key", help: "access key of the bucket", val: (*stringValue)(&c.Storage.Key)},
		{key: "storage.secret", help: "secret key of the bucket", val: (*stringValue)(&c.Storage.Secret)},
	}
}
