package live

import (
	"bytes"
	"testing"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
)

// The slate's music is played while nobody is on stage, by each worker anew.
func TestMusicOfAnEmptyStage(t *testing.T) {
	t.Parallel()
	pr := startPresenter(newPainter("A room", labels()))
	defer pr.stop()
	quiet, loud := newDesign(nil), newDesign(nil)
	loud.slate.music = []byte("music")
	canvas := layout.Canvas{W: 640, H: 360}
	empty := selection{canvas: canvas, design: loud}
	full := selection{canvas: canvas, design: loud, tiles: []tile{{place: canvas.Arrange(layout.Style{}, 1)[0], peer: "ann"}}}
	silent := selection{canvas: canvas, design: quiet}
	first, second := &worker{outgoing: newQueue()}, &worker{outgoing: newQueue()}
	for i, step := range []struct {
		worker *worker
		sel    selection
		want   []string // what is played from then on
	}{
		{first, empty, []string{"music"}},
		{first, empty, nil},
		{first, full, []string{""}},
		{first, full, nil},
		{first, empty, []string{"music"}},
		{second, empty, []string{"music"}},
		{second, silent, []string{""}},
	} {
		pr.show(showing{worker: step.worker, sel: step.sel})
		var got []string
		for _, m := range step.worker.outgoing.Take() {
			if m, ok := m.(*wire.Music); ok {
				got = append(got, string(bytes.Clone(m.Data)))
			}
		}
		if len(got) != len(step.want) || len(got) == 1 && got[0] != step.want[0] {
			t.Errorf("step %d: %q is played, want %q", i, got, step.want)
		}
	}
}
