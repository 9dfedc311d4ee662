package live

import (
	"os"
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// What happens on a stage becomes inputs, frames and scenes for the worker, and for one that
// takes its place.
func TestStageIsFed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{}, nil)
	r := h.open()
	ann := join(t, r, "ann")
	h.start(r)
	heard := func() map[string]uint64 { return heard(h.stream(r.ID())) }
	h.until("two inputs and their frames", func() bool {
		n := heard()
		return n["AddInput"] == 2 && n["Frame"] > 100 && n["Scene"] >= 1 && n["Bitmap"] >= 2
	})
	if n := heard(); n["RemoveInput"] > 0 {
		t.Errorf("%v", n)
	}
	ann.mute("camera-ann", true)
	h.until("the camera is off", func() bool { return heard()["RemoveInput"] == 1 })
	ann.mute("camera-ann", false)
	h.until("the camera is on", func() bool { return heard()["AddInput"] == 3 })
	bob := join(t, r, "bob")
	h.until("bob", func() bool { return heard()["AddInput"] == 5 })
	bob.leave()
	h.until("bob is gone", func() bool { return heard()["RemoveInput"] == 3 })

	if err := h.stream(r.ID()).worker.Load().Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	h.until("the next worker is told anew", func() bool {
		return h.Stats().Restarts == 1 && heard()["AddInput"] == 2 && heard()["Frame"] > 50
	})
	if st := h.Stats(); st.FramesIn < 150 {
		t.Errorf("%+v", st)
	}

	// Somebody who may not publish any more is not on the stage.
	if err := ann.peer.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{
		RequestedFor: "peer-ann", Role: policy.RoleHLSViewer, Force: true,
	}); err != nil {
		t.Fatal(err)
	}
	h.until("ann in the gallery", func() bool { return heard()["RemoveInput"] == 2 })
}
