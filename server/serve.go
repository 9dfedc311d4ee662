package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"amphi/compositor/label"
	"amphi/server/account"
	"amphi/server/analytics"
	"amphi/server/api"
	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/dashboard"
	"amphi/server/egress"
	"amphi/server/hls"
	"amphi/server/live"
	"amphi/server/multitrack"
	"amphi/server/protocol"
	"amphi/server/pull"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/rtmp"
	"amphi/server/sfu"
	"amphi/server/signal"
	"amphi/server/storage"
	"amphi/server/store"
	"amphi/server/web"
	"amphi/server/webhook"
	"amphi/server/whip"
	"amphi/static"
)

// serve makes the parts, connects them, and runs them until ctx ends. What it
// tells people, not operators, it writes to out.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger, out io.Writer) (err error) {
	db, seeded, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen for HTTP: %w (choose another address with --addr)", err)
	}
	defer listener.Close() // closed already by a server that ran
	publicURL := strings.TrimSuffix(cfg.PublicURL, "/")
	if publicURL == "" {
		publicURL = localURL(listener.Addr())
	}

	media, err := sfu.New(sfu.Config{
		Port:    cfg.RTC.Port,
		NodeIPs: texts(cfg.RTC.NodeIPs),
		// A server that was given no address of its own is tried out on the machine it runs on.
		Loopback: cfg.RTC.Loopback || isLocal(publicURL),
		Log:      log.With("part", "sfu"),
	})
	if err != nil {
		return fmt.Errorf("cannot open the media port: %w (choose another with --rtc-port)", err)
	}
	defer func() { err = errors.Join(err, media.Close()) }()
	relay, err := openRelay(cfg, media.Addresses(), seeded.Key.Secret, log.With("part", "turn"))
	if err != nil {
		return err
	}
	if relay != nil {
		defer func() { err = errors.Join(err, relay.Close()) }()
	}
	ice := iceServers(cfg, relay)
	ingestPort, err := listenRTMP(ctx, cfg.RTMP.Port)
	if err != nil {
		return err
	}
	if ingestPort != nil {
		defer ingestPort.Close()
	}

	events := analytics.New(analytics.Config{Store: db, Keep: cfg.Analytics.Keep, Most: cfg.Analytics.KeepEvents,
		KeepChat: cfg.Chat.Keep, MostChat: cfg.Chat.KeepMessages, Log: log.With("part", "analytics")})
	defer events.Close() // after the rooms

	files, err := openStorage(cfg, publicURL, seeded.Key.Secret, log.With("part", "storage"))
	if err != nil {
		return fmt.Errorf("cannot open the storage of recordings: %w", err)
	}
	defer files.Local.Close()
	tapes, err := openRecordings(cfg, db, files, log.With("part", "recording"))
	if err != nil {
		return fmt.Errorf("cannot open the directory of recordings: %w", err)
	}
	tracks := multitrack.New(tapes, db, log.With("part", "multitrack"))
	defer tracks.Wait() // after the rooms

	var lives *live.Manager
	var boards room.Whiteboards
	switch w := cfg.Whiteboard; {
	case w.Addr != "" && w.Secret != "":
		boards = whiteboards{w}
	case w.Addr != "":
		log.Warn("there are no whiteboards: whiteboard.addr is set, but whiteboard.secret is not")
	}
	pushes := &rtmp.Pushes{Store: db, Log: log.With("part", "rtmp"),
		Allow: egress.Rule{Allow: cfg.RTMP.AllowNetworks, Setting: "rtmp.allow_networks"}}
	rooms := room.NewRegistry(room.Config{
		SFU:      media,
		Records:  records.Records{DB: db},
		Observer: observer{events, db},
		Streamer: func() room.Streamer { return lives },
		Recorder: recorder{db, func() *live.Manager { return lives }, pushes}, Whiteboard: boards,
		Opened: tracks.Open,
		NewID:  store.NewID,
		NodeID: "node-" + strings.ToLower(rand.Text()[:8]),
		Limits: room.Limits{
			Peers:             cfg.Limits.PeersPerRoom,
			MessagesPerSecond: float64(cfg.Limits.ChatPerSecond),
			MessageBurst:      3 * cfg.Limits.ChatPerSecond,
		},
		ChatHistory: cfg.Chat.History,
		Loudest:     cfg.Audio.Loudest,
		Log:         log.With("part", "room"),
	})
	defer rooms.Suspend()

	studio, err := openStudio(cfg, publicURL, listener.Addr(), media.Addresses(), log.With("part", "page"))
	if err != nil {
		return err
	}
	labels := label.New(label.Config{FontCache: filepath.Join(cfg.Data, "cache"), Log: log.With("part", "label")})
	origin := &hls.Origin{}
	var bucket hls.Bucket
	if files.Bucket != nil {
		bucket = files.Bucket
	}
	lives = live.New(live.Config{
		Studio: studio, MaxPages: cfg.Composition.Pages, OwnLink: roomLinks{db, publicURL, cfg.Auth.TokenLifetime}.own,
		Recordings: tapes,
		Rooms:      rooms, Store: db, Origin: origin, PublicURL: publicURL, Worker: cfg.Compositor.Path, Dir: filepath.Join(cfg.Data, "live"),
		MaxStreams: cfg.Limits.LiveStreams, Bucket: bucket, Spool: int64(cfg.Storage.SpoolMB) << 20,
		Sounds: egress.Rule{Allow: cfg.Pull.AllowNetworks, Setting: "pull.allow_networks"},
		Labels: labels, Log: log.With("part", "live"),
	})
	pushes.Rooms, pushes.Live, pushes.Record = rooms, lives, lives.RecordPush

	if err := resume(ctx, db, rooms, log); err != nil {
		return err
	}
	if err := lives.Resume(ctx); err != nil {
		return fmt.Errorf("cannot go on with what was live: %w", err)
	}
	if err := pushes.Resume(ctx); err != nil {
		return fmt.Errorf("cannot go on with what was pushed: %w", err)
	}
	verifier := &auth.Verifier{Keys: db}
	signals := signal.New(admission{db, verifier, rooms}.check, rooms, log.With("part", "signal"))
	signals.FrameBytes = cfg.Limits.MessageBytes

	encoders := whip.New(rooms, log.With("part", "whip"))
	encoders.ICEServers = func() []config.ICEServer { return ice("encoder-" + rand.Text()) }

	ingest := &rtmp.Ingest{Rooms: rooms, Store: db, Live: lives, Media: media.Addresses, Worker: cfg.Compositor.Path,
		Window: cfg.RTMP.ReturnWithin, Log: log.With("part", "rtmp")}
	pulls := &pull.Pulls{Rooms: rooms, Store: db, Media: media.Addresses, Worker: cfg.Compositor.Path,
		Allow: egress.Rule{Allow: cfg.Pull.AllowNetworks, Setting: "pull.allow_networks"}, Log: log.With("part", "pull")}

	hooks := &webhook.Sender{
		Store: db, AllowNetworks: cfg.Webhook.AllowNetworks, Timeout: cfg.Webhook.Timeout,
		RetryPauses: cfg.Webhook.RetryPauses, RetryFor: cfg.Webhook.RetryFor, Keep: cfg.Webhook.Keep, KeepEvents: cfg.Webhook.KeepEvents,
		Log: log.With("part", "webhook"),
	}

	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newSnapshot("sfu", media.Stats), newSnapshot("signal", signals.Stats), newSnapshot("live", lives.Stats), newSnapshot("rtmp", pushes.Stats), newSnapshot("ingest", ingest.Stats), newSnapshot("pull", pulls.Stats),
		newSnapshot("whip", encoders.Stats), newSnapshot("hls", origin.Stats), newSnapshot("webhook", hooks.Stats),
		newSnapshot("analytics", events.Stats), newSnapshot("multitrack", tracks.Stats), roomMetrics{rooms.Rooms})
	if relay != nil {
		metrics.MustRegister(newSnapshot("turn", relay.Stats))
	}
	rest := &api.API{
		Store: db, Rooms: rooms, Live: streams{rooms, lives}, Pusher: pushes, Puller: pulls, RTMPPort: cfg.RTMP.Port, Recorder: recordings{db, rooms, lives, files}, Reports: events, WHIP: encoders, PublicURL: cfg.PublicURL, ICEServers: ice, Whiteboards: boards != nil,
		TokenLifetime: cfg.Auth.TokenLifetime, Limits: cfg.Limits, TrustedProxies: cfg.HTTP.TrustedProxies,
		MetricsFrom: cfg.HTTP.MetricsFrom, Metrics: metrics, Log: log.With("part", "api"),
	}
	built := static.Embedded()
	shown := pages{db, rooms, seeded}

	mux := http.NewServeMux()
	rest.Register(mux)
	mux.Handle("/ws", signals)
	mux.Handle("/beam/", origin)
	mux.Handle("/static/", built)
	mux.Handle("/sdk/", built)
	mux.Handle(storage.Prefix, files.Local)
	accounts := &account.Accounts{Store: db}
	desk := dashboard.Config{
		Log: log.With("part", "dashboard"), Store: db, Accounts: accounts, API: mux, Rooms: rooms, Hooks: hooks, Metrics: metrics, Health: health(cfg), Assets: assets(built),
		PublicURL: cfg.PublicURL, ClientAddr: rest.ClientAddr, AppParts: appParts(cfg, labels, files),
	}
	board := dashboard.New(desk)
	mux.Handle("/dashboard", board)
	mux.Handle("/dashboard/", board)
	mux.Handle("/", web.New(web.Config{
		Log: log.With("part", "web"), Assets: assets(built), Door: shown.door, Starter: shown.starter, App: shown.app, SignedIn: desk.SignedIn, PublicURL: cfg.PublicURL,
		Reference: reference(rest), SDK: shownSDK(built, log), FrameAncestors: cfg.HTTP.EmbedFrom,
	}))

	server := &http.Server{
		Handler:           mux,
		ConnState:         hls.ConnState,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.With("part", "http").Handler(), slog.LevelDebug),
	}
	greet(out, publicURL, media.Port(), seeded, built.Built())
	if err := inviteFirst(ctx, accounts, seeded.Workspace.ID, out, publicURL); err != nil {
		return err
	}
	log.Info("serving", "addr", listener.Addr().String(), "url", publicURL, "rtc_port", media.Port(), "data", cfg.Data)

	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(origin.Listener(listener)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	if ingestPort != nil {
		group.Go(func() error { return ingest.Serve(ingestPort) })
		context.AfterFunc(running, func() { ingestPort.Close() })
	}
	group.Go(func() error { return hooks.Run(running) })
	group.Go(func() error { return tapes.Run(running) })
	group.Go(func() error { return beat(running, db, log) })
	group.Go(func() error {
		<-running.Done()
		log.Info("stopping", "at_most", cfg.ShutdownTimeout)
		bound, cancel := context.WithTimeout(context.Background(), cfg.ShutdownTimeout)
		defer cancel()
		rest.Drain()
		// Streams end while there are rooms to tell; then encoders and sockets, then what is left of HTTP.
		err := errors.Join(lives.Close(bound), pushes.Wait(bound))
		encoders.Close()
		ingest.Close()
		pulls.Close()
		signals.Close()
		return errors.Join(err, server.Shutdown(bound))
	})
	return group.Wait()
}

// listenRTMP opens the port for encoders, if there is one.
func listenRTMP(ctx context.Context, port int) (net.Listener, error) {
	if port == 0 {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for RTMP: %w (choose another port with --rtmp-port)", err)
	}
	return l, nil
}

// openStore opens the database, ends what a killed server left open, and makes
// what every server begins with.
func openStore(ctx context.Context, cfg config.Config, log *slog.Logger) (*store.Store, store.Seeded, error) {
	var seeded store.Seeded
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, seeded, fmt.Errorf("cannot make the data directory: %w (choose another with --data)", err)
	}
	db, err := store.Open(ctx, cfg.Database())
	if err != nil {
		return nil, seeded, fmt.Errorf("cannot open the database: %w", err)
	}
	log.Info("database open", "at", store.Redacted(cfg.Database()))
	sessions, jobs, err := db.Recover(ctx, time.Now(), room.DefaultLimits.ForgetAfter)
	if err == nil && sessions+jobs > 0 {
		log.Warn("the last run did not end by itself; what it left open was closed", "sessions", sessions, "jobs", jobs)
	}
	if err == nil {
		seeded, err = db.Seed(ctx, auth.NewRoomCode)
	}
	if err == nil && cfg.Webhook.URL != "" {
		err = db.SetWebhook(ctx, seeded.Workspace.ID, store.Webhook{URL: cfg.Webhook.URL, Headers: cfg.WebhookHeaders()})
	}
	if err != nil {
		return nil, seeded, errors.Join(err, db.Close())
	}
	return db, seeded, nil
}

// resume makes the rooms again whose sessions the run before left open, before anybody comes back to them.
func resume(ctx context.Context, db *store.Store, rooms *room.Registry, log *slog.Logger) error {
	saved, err := db.LiveRooms(ctx)
	if err != nil {
		return fmt.Errorf("cannot read what was live: %w", err)
	}
	for _, r := range saved {
		if err := rooms.Resume(ctx, r.RoomID, []byte(r.State)); err != nil {
			log.Error("a session could not be resumed", "room", r.RoomID, "session", r.SessionID, "err", err)
			if err := db.CloseSession(ctx, r.SessionID, time.Now()); err != nil {
				return fmt.Errorf("cannot close what was live: %w", err)
			}
		}
	}
	return nil
}

// beatEvery is how often a server says that it is alive: so much of the time to resume may be lost by a crash.
const beatEvery = 5 * time.Second

// beat says that this server is alive until ctx ends.
func beat(ctx context.Context, db *store.Store, log *slog.Logger) error {
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	for {
		if err := db.Beat(context.WithoutCancel(ctx), time.Now()); err != nil {
			log.Error("could not record that the server is alive", "err", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// admission decides who may open a socket.
type admission struct {
	db       *store.Store
	verifier *auth.Verifier
	rooms    *room.Registry
}

// check is the Authenticate of signal.Server. A token that has expired is still
// good for a peer that is in the room: clients cannot renew theirs.
func (a admission) check(ctx context.Context, token, peerID string) (signal.Grant, error) {
	grant, err := a.verifier.App(ctx, token)
	if errors.Is(err, auth.ErrExpired) {
		if r := a.rooms.Lookup(grant.RoomID); r != nil && r.Knows(ctx, peerID) {
			err = nil
		}
	}
	var refusal auth.Error
	switch {
	case errors.As(err, &refusal):
		return signal.Grant{}, protocol.Errorf(protocol.CodeUnauthorized, "Token validation error: %s", refusal)
	case err != nil:
		return signal.Grant{}, err
	}
	// The token's key belongs to a workspace, and opens the rooms of that one only.
	_, err = a.db.Room(ctx, grant.WorkspaceID, grant.RoomID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return signal.Grant{}, room.ErrNotFound
	case err != nil:
		return signal.Grant{}, err
	}
	return signal.Grant{RoomID: grant.RoomID, UserID: grant.UserID, Role: grant.Role}, nil
}

// assets finds built files for pages.
// shownSDK is what the page about the client SDK shows; nil when the pages are not built.
func shownSDK(files *static.Files, log *slog.Logger) *web.SDK {
	data := files.Docs()
	if data == nil {
		return nil
	}
	var sdk web.SDK
	if err := json.Unmarshal(data, &sdk); err != nil {
		log.Error("documentation of the SDK", "err", err) // of another build than the server
		return nil
	}
	return &sdk
}

func assets(files *static.Files) func(string) web.Asset {
	return func(name string) web.Asset {
		built, _ := files.Asset(name)
		asset := web.Asset{URL: files.URL(name), Integrity: built.Integrity}
		for _, path := range built.Imports {
			asset.Imports = append(asset.Imports, static.Asset{Path: path}.URL())
		}
		return asset
	}
}

// greet says where to go.
func greet(out io.Writer, publicURL string, rtcPort int, seeded store.Seeded, built bool) {
	fmt.Fprintf(out, "\n  Amphi is on %s (media: port %d, UDP and TCP)\n\n", publicURL, rtcPort)
	for _, code := range seeded.Codes {
		fmt.Fprintf(out, "  %-16s %s/meeting/%s\n", code.Role, publicURL, code.Code)
	}
	if !built {
		fmt.Fprintf(out, "\n  The pages are not in this binary: build them with go tool task web, then go tool task server.\n")
	}
	fmt.Fprintln(out)
}

// localURL is how a browser on this machine reaches a listener.
func localURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err != nil || host == "" || ip.IsUnspecified() || ip.IsLoopback() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// isLocal says whether only this machine can reach that URL.
func isLocal(publicURL string) bool {
	u, err := url.Parse(publicURL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}

func texts(addrs []netip.Addr) []string {
	list := make([]string, 0, len(addrs))
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return list
}
