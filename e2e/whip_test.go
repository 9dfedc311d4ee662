package e2e

import (
	"fmt"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
)

// whipPage is what web pages that publish and play over HTTP do, with no more than the browser has.
const whipPage = `
async function exchange(pc, url) {
	await pc.setLocalDescription();
	const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
	if (answer.status !== 201) throw new Error(await answer.text());
	let candidates = '';
	pc.onicecandidate = ({ candidate }) => {
		if (!candidate) return;
		fetch(answer.headers.get('Location'), { method: 'PATCH', headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': answer.headers.get('ETag') },
			body: 'm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=' + candidate.candidate + '\r\n' });
	};
	await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
}
window.publish = async (url) => {
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
	window.pc = new RTCPeerConnection();
	for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
	await exchange(pc, url);
};
window.play = async (url) => {
	window.pc = new RTCPeerConnection();
	for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' });
	window.decoded = 0; // decoded: a page that nobody looks at need not draw them
	setInterval(async () => {
		for (const report of (await pc.getStats()).values()) if (report.type === 'inbound-rtp' && report.kind === 'video') window.decoded = report.framesDecoded;
	}, 200);
	await exchange(pc, url);
};`

// TestWHIPPages: a web page publishes over WHIP, and another one watches over WHEP, first somebody in the room and then
// the page.
func TestWHIPPages(t *testing.T) {
	l := newLab(t)
	room := l.room()
	open := func(name string, camera int) *person {
		p := &person{Page: l.open(name, testbrowser.PageConfig{Camera: camera, Scripts: []string{whipPage}}), t: t, name: name}
		if err := p.Goto(l.server.URL + "/docs/api"); err != nil {
			t.Fatal(err)
		}
		return p
	}
	call := func(p *person, function, path, code string) {
		t.Helper()
		if err := p.Eval(fmt.Sprintf("%s(%q)", function, path+room.Codes[code]), nil); err != nil {
			p.fatal(err, "calls %s", function)
		}
	}
	ann := l.join(room, broadcaster, "Ann", 7)
	ann.view("stage")
	player := open("player", 0)
	call(player, "play", "/whep/", viewer)
	plays := func() {
		t.Helper()
		var before int
		if err := player.Eval("decoded", &before); err != nil {
			t.Fatal(err)
		}
		if err := player.Wait(fmt.Sprintf("decoded > %d + 30 && pc.connectionState === 'connected'", before), 30*time.Second); err != nil {
			player.fatal(err, "sees frames")
		}
	}
	plays()

	page := open("publisher", 9)
	call(page, "publish", "/whip/", broadcaster)
	ann.sees(tile("WHIP"), 30*time.Second)
	ann.watches("WHIP", 9)
	ann.Close()
	plays()
}
