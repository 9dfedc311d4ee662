package dashboard

import (
	"testing"

	"amphi/e2e/testbrowser"
)

// TestBrand gives an app a name, a logo and a colour, and looks at where people see them.
func TestBrand(t *testing.T) {
	l := newLab(t)
	ann := l.guest("ann", testbrowser.PageConfig{})
	ann.becomesAdmin()
	app := ann.first(`^/dashboard/apps/[0-9a-f]{24}$`)
	ann.opens(app)
	broadcaster, viewer := ann.linkOf("Join as broadcaster"), ann.linkOf("Join as hls-viewer")
	ann.presses("Brand")
	ann.fills("Name", "Kulturhaus Nord")
	ann.fills("Colour", "#1d6f5c")
	ann.choosesLogo()
	ann.presses("Save")
	ann.reads("Saved.")
	ann.waits(`document.querySelector('main img')?.naturalWidth > 0`)
	ann.looks("brand-dashboard")

	branded := `getComputedStyle(document.documentElement).getPropertyValue('--accent').includes('1d6f5c')`
	var public string
	ann.must(ann.Eval(`[...document.querySelectorAll('main a')].map((a) => a.pathname).find((path) => path.startsWith('/a/')) ?? ''`, &public))
	if public == "" {
		public = "/a/start"
	}
	ann.opens(public)
	ann.reads("Kulturhaus Nord")
	ann.waits(branded)
	ann.looks("brand-app")

	stage := l.guest("stage", testbrowser.PageConfig{Camera: 7})
	stage.opens(broadcaster)
	stage.waits(`E2E.one('[data-testid="join-name"]') && ` + branded)
	stage.reads("Kulturhaus Nord")
	stage.looks("brand-preview")
	stage.types(id("join-name"), "Ann")
	stage.clicks(id("join-button"))
	stage.waits(`document.querySelector('main[data-view="stage"]')`)
	stage.clicks(id("go-live"))
	stage.waits(`E2E.one('[data-testid="live-badge"]')`)
	stage.looks("brand-stage")
	vic := l.guest("vic", testbrowser.PageConfig{})
	vic.opens(viewer)
	vic.types(id("join-name"), "Vic")
	vic.clicks(id("join-button"))
	vic.plays(16, 9)
	vic.looks("brand-gallery")

	// The start page shows what is live to who sits at the machine.
	ann.opens("/")
	ann.waits(`[...document.querySelectorAll('#on-air video')].some((video) => video.muted && video.currentTime > 0)`)
	ann.reads("1 in the gallery")
	ann.looks("start-live")
	stage.clicks(id("end-stream"))
	stage.clicks(id("confirm-ok"))
	ann.could(ann.Wait(`!document.querySelector('#on-air video')`, patience), "see the stream end")
	ann.reads("Nobody is live")
	ann.looks("start")
}

// choosesLogo puts a picture into the field of the logo, as somebody does who drops a file on it.
func (g *guest) choosesLogo() {
	g.t.Helper()
	g.must(g.Eval(`(async () => {
		const canvas = document.createElement('canvas');
		canvas.width = 480;
		canvas.height = 160;
		const pen = canvas.getContext('2d');
		pen.fillStyle = '#1d6f5c';
		for (let i = 0; i < 3; i++) pen.fillRect(20 + i * 50, 120 - i * 40, 40, 20 + i * 40);
		pen.font = 'bold 84px sans-serif';
		pen.fillText('Nord', 200, 130);
		const picture = await new Promise((done) => canvas.toBlob(done, 'image/png'));
		const files = new DataTransfer();
		files.items.add(new File([picture], 'logo.png', { type: 'image/png' }));
		document.querySelector('input[type=file][name=logo]').files = files.files;
	})()`, nil))
}
