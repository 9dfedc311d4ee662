package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestSpatialLayers has somebody publish VP9, which browsers send in one stream of spatial layers where a role asks for
// several: each viewer gets the picture that fits its page, and decodes it.
func TestSpatialLayers(t *testing.T) {
	type object = map[string]any
	l := newLab(t)
	var templates struct{ Data []object }
	if err := l.server.API(t.Context(), "GET", "/v2/templates", nil, &templates); err != nil {
		t.Fatal(err)
	}
	roles := templates.Data[0]["roles"].(object)
	publish := roles[broadcaster].(object)["publishParams"].(object)
	publish["video"] = object{"codec": "vp9", "width": 1280, "height": 720, "frameRate": 25, "bitRate": 1500}
	layer := func(rid string, scale, bitRate int) object {
		return object{"rid": rid, "scaleResolutionDownBy": scale, "maxBitrate": bitRate, "maxFramerate": 25}
	}
	publish["simulcast"] = object{"video": object{"layers": []object{layer("f", 1, 1200), layer("h", 2, 400), layer("q", 4, 150)}}}
	var made struct{ ID string }
	if err := l.server.API(t.Context(), "POST", "/v2/templates", object{"name": "spatial", "roles": roles}, &made); err != nil {
		t.Fatal(err)
	}
	room, err := l.server.NewRoom(t.Context(), "spatial", made.ID)
	if err != nil {
		t.Fatal(err)
	}
	l.join(room, broadcaster, "Ann", 7).view("stage")
	bob := l.join(room, viewer, "Bob", 0)
	bob.view("floor")
	for _, step := range []struct{ window, picture int }{{1280, 1280}, {480, 640}, {320, 320}, {1280, 1280}} {
		if err := bob.Resize(step.window, 900); err != nil {
			t.Fatal(err)
		}
		if err := bob.Wait(fmt.Sprintf(`document.querySelector(%s + ' video').videoWidth === %d`, quote(tile("Ann")), step.picture), 20*time.Second); err != nil {
			bob.fatal(err, "sees a picture of %d pixels in a window of %d", step.picture, step.window)
		}
		bob.watches("Ann", 7)
	}
}
