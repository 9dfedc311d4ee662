package e2e

import (
	"testing"
	"time"
)

// TestStory is one event from beginning to end: two people on stage, one on the floor, one in the gallery, everybody
// in a browser of their own.
func TestStory(t *testing.T) {
	l := newLab(t)
	room := l.room()
	start := time.Now()
	step := func(what string) { t.Logf("%5.1f s: %s", time.Since(start).Seconds(), what) }
	const annCamera, bobCamera, vicCamera = 11, 12, 13

	step("Ann and Bob come onto the stage, Vic onto the floor")
	ann := l.join(room, broadcaster, "Ann", annCamera)
	ann.view("stage")
	bob := l.join(room, broadcaster, "Bob", bobCamera)
	bob.view("stage")
	vic := l.join(room, viewer, "Vic", vicCamera)
	vic.view("floor")

	step("they see and hear each other")
	t.Logf("Ann sees Bob: %+v", ann.watches("Bob", bobCamera))
	t.Logf("Bob sees Ann: %+v", bob.watches("Ann", annCamera))
	t.Logf("Vic sees Ann: %+v", vic.watches("Ann", annCamera))
	t.Logf("Vic sees Bob: %+v", vic.watches("Bob", bobCamera))
	ann.hears(1)
	bob.hears(1)
	vic.hears(2)
	if before := vic.decodes(); before < 20 {
		t.Errorf("Vic decoded only %d pictures", before)
	}

	step("Hal comes into the gallery, before there is a stream")
	hal := l.join(room, hlsViewer, "Hal", 0)
	hal.view("gallery")
	if hal.has(testID("go-live")) || vic.has(testID("go-live")) {
		t.Error("viewers are offered to go live")
	}

	step("Ann goes live")
	ann.click("go-live")
	ann.sees(testID("live-badge"), 20*time.Second)
	bob.sees(testID("live-badge"), 5*time.Second)
	hal.playsHLS(20 * time.Second)
	for camera, summary := range hal.finds(hlsVideo, 4*time.Second, annCamera, bobCamera) {
		t.Logf("Hal sees camera %d in the stream: %+v", camera, summary)
	}

	step("everybody reads what everybody says")
	everybody := []*person{ann, vic, hal}
	for _, speaker := range everybody {
		words := "hello from " + speaker.name
		speaker.says(words)
		for _, listener := range everybody {
			listener.reads(words)
		}
	}
	step("and sees their reactions")
	for _, speaker := range everybody {
		speaker.reacts("tada")
		for _, other := range everybody {
			if other != speaker {
				other.sees(`[data-testid="reaction"][data-emoji="tada"][data-from="`+speaker.name+`"]`, 3*time.Second)
			}
		}
	}

	step("Vic raises a hand and is brought on stage")
	// a reload would lose this
	if err := vic.Eval(`void (globalThis.sameDocument = true)`, nil); err != nil {
		t.Fatal(err)
	}
	vic.click("raise-hand")
	ann.opensPeople()
	ann.sees(inList("Vic")+`[data-hand="raised"]`, 5*time.Second)
	ann.moves("Vic", "bring-on-stage")
	acceptIfAsked(vic)
	vic.view("stage")
	t.Logf("Ann sees Vic: %+v", ann.watches("Vic", vicCamera))
	ann.hears(2)
	hal.finds(hlsVideo, 4*time.Second, annCamera, bobCamera, vicCamera)

	step("Vic is moved to the gallery and watches the stream")
	ann.moves("Vic", "move-to-gallery")
	acceptIfAsked(vic)
	vic.view("gallery")
	vic.playsHLS(20 * time.Second)
	vic.finds(hlsVideo, 4*time.Second, annCamera, bobCamera)
	ann.seesNot(tile("Vic"), 5*time.Second)
	vic.says("nice seat")
	ann.reads("nice seat")
	var same bool
	if err := vic.Eval(`globalThis.sameDocument === true`, &same); err != nil || !same {
		t.Errorf("the page was reloaded on the way (%v)", err)
	}

	step("Ann ends the stream")
	ann.click("end-stream")
	ann.click("confirm-ok")
	for _, watcher := range []*person{hal, vic} {
		watcher.sees(`[data-testid="stream-state"][data-state="ended"]`, 15*time.Second)
	}
	ann.seesNot(testID("live-badge"), 10*time.Second)

	step("and closes the room")
	ann.click("leave-more")
	ann.click("end-room")
	ann.click("confirm-ok")
	for _, p := range []*person{ann, bob, vic, hal} {
		p.view("ended")
	}
	step("done")
}

// acceptIfAsked takes an offered role; nothing is to be done when the change was not a question.
func acceptIfAsked(p *person) {
	p.t.Helper()
	deadline := time.Now().Add(2 * time.Second)
	for time.Now().Before(deadline) {
		if p.has(testID("role-request-accept")) {
			p.click("role-request-accept")
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
