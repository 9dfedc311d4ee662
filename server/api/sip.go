package api

import "net/http"

// errNoSIP refuses everything about telephone calls: this server has no SIP part.
var errNoSIP = refuse(http.StatusNotImplemented, "SIP is not enabled on this server")

func (a *API) sipEndpoints() []endpoint {
	return described("SIP",
		public("POST", "/v2/sip/dtmf", "Send tones into a call; needs an auth token. Not enabled", a.sendTones),
		managed("POST", "/v2/sip/outbound/trunks", "Make a trunk. Not enabled", a.refuseSIP),
		managed("POST", "/v2/sip/outbound/trunks/{trunk_id}", "Change a trunk. Not enabled", a.refuseSIP),
		managed("POST", "/v2/sip/outbound/call", "Call somebody into a room. Not enabled", a.refuseSIP),
	)
}

func (a *API) sendTones(r *http.Request, _ unread) (nothing, error) {
	if _, err := a.verifier.App(r.Context(), bearer(r)); err != nil {
		return nothing{}, err
	}
	return nothing{}, errNoSIP
}

func (a *API) refuseSIP(*http.Request, string, nothing) (nothing, error) { return nothing{}, errNoSIP }
