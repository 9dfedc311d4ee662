package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"amphi/server/protocol"

	"github.com/pion/webrtc/v4"
)

// What the client says of itself, and which protocol it speaks (§2.2, §3.1).
const (
	clientVersion   = "0.1.0"
	protocolVersion = "2.5"
	protocolSpec    = "20250115"
)

// maxHTTPBody bounds answers of /init and of the token service.
const maxHTTPBody = 1 << 20

func userAgent() string {
	return fmt.Sprintf("os:%s,os_version:,sdk:web,sdk_version:%s,env:prod,domain:CUSTOM,is_prebuilt:false,framework:amphi,framework_sdk_version:%s",
		clientOS, clientVersion, clientVersion)
}

// initConfig is the answer of /init (§2.2).
type initConfig struct {
	Endpoint         string `json:"endpoint"`
	RTCConfiguration struct {
		ICEServers         []iceServer `json:"ice_servers"`
		ICETransportPolicy string      `json:"iceTransportPolicy"`
	} `json:"rtcConfiguration"`
	Config struct {
		EnabledFlags   []string    `json:"enabledFlags"`
		PublishStats   statsConfig `json:"publishStats"`
		SubscribeStats statsConfig `json:"subscribeStats"`
		VB             struct {
			EffectsKey string `json:"effectsKey"`
		} `json:"vb"`
	} `json:"config"`
}

type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username"`
	Credential string   `json:"credential"`
}

func (c initConfig) flag(name string) bool {
	for _, flag := range c.Config.EnabledFlags {
		if flag == name {
			return true
		}
	}
	return false
}

// rtcConfig is what both connections are made with. own replaces the server's ICE servers.
func (c initConfig) rtcConfig(own []iceServer) webrtc.Configuration {
	var config webrtc.Configuration
	servers := c.RTCConfiguration.ICEServers
	if len(own) > 0 {
		servers = own
	}
	for _, s := range servers {
		if len(s.URLs) == 0 {
			continue
		}
		server := webrtc.ICEServer{URLs: s.URLs, Username: s.Username}
		if s.Username != "" || s.Credential != "" {
			server.Credential, server.CredentialType = s.Credential, webrtc.ICECredentialTypePassword
		}
		config.ICEServers = append(config.ICEServers, server)
	}
	if c.RTCConfiguration.ICETransportPolicy == "relay" {
		config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	return config
}

// fetchInit calls /init of the endpoint's origin; path and query of the
// endpoint do not matter (§2.1).
func fetchInit(ctx context.Context, endpoint, peerID, token string) (initConfig, error) {
	var config initConfig
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return config, terminal(newError(codeUnreachable, "INIT", "init endpoint %q is no address", endpoint))
	}
	u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/init", RawQuery: url.Values{
		"peer_id": {peerID}, "user_agent_v2": {userAgent()},
	}.Encode()}
	status, body, err := httpDo(ctx, "GET", u.String(), map[string]string{"Authorization": "Bearer " + token}, "")
	if err != nil {
		return config, newError(codeUnreachable, "INIT", "%w", err)
	}
	if status != 200 {
		return config, httpError(status, body, "INIT")
	}
	if err := json.Unmarshal(body, &config); err != nil {
		return config, terminal(newError(codeUnreachable, "INIT", "answer of /init: %w", err))
	}
	if config.Endpoint == "" {
		return config, terminal(newError(codeUnreachable, "INIT", "answer of /init names no endpoint"))
	}
	return config, nil
}

// httpError reads a refusal. 404 and a busy server may pass, everything else
// is final (§2.4; there 5xx is final too, which ends calls when a server
// restarts behind a proxy).
func httpError(status int, body []byte, action string) *Error {
	var refused protocol.Error
	if json.Unmarshal(body, &refused) != nil || refused.Code == 0 {
		refused = protocol.Error{Code: status, Message: fmt.Sprintf("HTTP status %d", status)}
	}
	e := asError(&refused, action)
	e.IsTerminal = status != 404 && status != 429 && status < 500
	if status == 404 {
		e.Code, e.Name = codeUnreachable, codeNames[codeUnreachable]
	}
	return e
}

// dial opens the WebSocket that /init named.
func dial(ctx context.Context, endpoint, peerID, token string) (socket, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, terminal(newError(codeSocketFailed, "JOIN", "signalling endpoint: %w", err))
	}
	q := u.Query()
	q.Set("peer", peerID)
	q.Set("token", token)
	q.Set("user_agent_v2", userAgent())
	q.Set("protocol_version", protocolVersion)
	q.Set("protocol_spec", protocolSpec)
	u.RawQuery = q.Encode()
	conn, err := dialSocket(ctx, u.String())
	if err != nil {
		// The error may quote the address, and with it the token.
		return nil, newError(codeSocketFailed, "JOIN", "%s", strings.ReplaceAll(err.Error(), url.QueryEscape(token), "…"))
	}
	return conn, nil
}

// claims are the parts of an auth token that a client reads (§2.5). It does
// not check the signature: the server does.
type claims struct {
	RoomID string `json:"room_id"`
	UserID string `json:"user_id"`
	Role   string `json:"role"`
}

func parseToken(token string) (claims, error) {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, terminal(newError(codeBadToken, "INIT", "auth token has %d parts, not 3", len(parts)))
	}
	// base64url as it should be, or base64 as some issuers write it.
	payload := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(parts[1], "="))
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, terminal(newError(codeBadToken, "INIT", "auth token: %w", err))
	}
	return c, nil
}

// TokenByRoomCode asks the token service (a complete URL) for the token that a
// room code stands for (§2.6). userID may be empty.
func TokenByRoomCode(ctx context.Context, endpoint, code, userID string) (string, error) {
	body, err := json.Marshal(struct {
		Code   string `json:"code"`
		UserID string `json:"user_id,omitempty"`
	}{code, userID})
	if err != nil {
		return "", err
	}
	// No Content-Type: the browser's text/plain needs no preflight.
	status, answer, err := httpDo(ctx, "POST", endpoint, nil, string(body))
	if err != nil {
		return "", newError(codeUnreachable, "GET_TOKEN", "%w", err)
	}
	if status < 200 || status > 299 {
		e := httpError(status, answer, "GET_TOKEN")
		var refused protocol.Error
		if json.Unmarshal(answer, &refused) == nil && refused.Code != 0 {
			e.Code, e.Name = refused.Code, "ServerErrors"
		}
		return "", e
	}
	var result struct {
		Token   string `json:"token"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(answer, &result); err != nil || result.Token == "" {
		return "", newError(codeUnreachable, "GET_TOKEN", "no token in the answer: %s", result.Message)
	}
	return result.Token, nil
}
