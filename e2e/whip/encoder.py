"""A WHIP encoder over GStreamer's webrtcbin, which shares no code with the server: test picture and tone.

encoder.py ENDPOINT TOKEN ENCODER PATTERN publishes until its input ends, and then deletes its session. TOKEN may be empty;
ENCODER is the part of a pipeline from raw video to RTP packets, PATTERN a picture of videotestsrc. Each state of the
connection is a line of the output.
"""

import sys
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

endpoint, token, encoder, pattern = sys.argv[1:5]
Gst.init(None)
pipeline = Gst.parse_launch(
    "webrtcbin name=out bundle-policy=max-bundle "
    "audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay pt=97 ! out. "
    "videotestsrc is-live=true pattern=" + pattern + " ! video/x-raw,width=640,height=360,framerate=30/1 ! videoconvert ! " + encoder + " ! out."
)
out = pipeline.get_by_name("out")
loop = GLib.MainLoop()
session = None


def request(method, url, body=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/sdp"
    return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method))


def negotiate(*_):
    def created(promise, *_):
        promise.wait()
        reply = promise.get_reply()  # it owns the offer
        out.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    out.emit("create-offer", None, Gst.Promise.new_with_change_func(created, None))


def gathered(*_):
    if out.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
        GLib.idle_add(post)


def post():
    global session
    try:
        response = request("POST", endpoint, out.get_property("local-description").sdp.as_text().encode())
    except urllib.error.HTTPError as refusal:
        print("refused:", refusal.code, refusal.read().decode(), flush=True)
        loop.quit()
        return
    session = urllib.parse.urljoin(endpoint, response.headers["Location"])
    _, sdp = GstSdp.SDPMessage.new_from_text(response.read().decode())
    answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
    out.emit("set-remote-description", answer, Gst.Promise.new())


def told(*_):
    print(out.get_property("connection-state").value_nick, flush=True)


def stop(*_):
    loop.quit()
    return False


out.connect("on-negotiation-needed", negotiate)
out.connect("notify::ice-gathering-state", gathered)
out.connect("notify::connection-state", told)
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, stop)
pipeline.set_state(Gst.State.PLAYING)
loop.run()
if session:
    try:
        status = request("DELETE", session).status
    except urllib.error.HTTPError as refusal:
        status = refusal.code
    print("deleted:", status, flush=True)
pipeline.set_state(Gst.State.NULL)
