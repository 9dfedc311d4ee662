package live

import (
	"slices"
	"testing"

	"amphi/server/policy"
)

func TestLayers(t *testing.T) {
	layer := func(w, h, video, audio int) policy.HLSLayer {
		return policy.HLSLayer{Width: w, Height: h, VideoBitrate: video, AudioBitrate: audio}
	}
	for _, tt := range []struct{ wish, want []policy.HLSLayer }{
		{nil, []policy.HLSLayer{layer(1280, 720, 2500, 128)}},
		{[]policy.HLSLayer{{}}, []policy.HLSLayer{layer(1280, 720, 2500, 128)}},
		// best first, one of a height, of one shape, even, at most four
		{
			[]policy.HLSLayer{layer(480, 270, 300, 64), layer(1921, 1081, 4000, 96), layer(640, 360, 600, 64), layer(480, 360, 1, 1),
				layer(900, 480, 900, 64), layer(240, 136, 100, 64)},
			[]policy.HLSLayer{layer(1920, 1080, 4000, 96), layer(854, 480, 900, 64), layer(640, 360, 600, 64), layer(480, 270, 300, 64)},
		},
		{[]policy.HLSLayer{layer(720, 1280, 2000, 64), layer(9, 640, 500, 64)}, []policy.HLSLayer{layer(720, 1280, 2000, 64), layer(360, 640, 500, 64)}},
	} {
		got := layersOf(&policy.HLSDestination{Layers: tt.wish}, nil)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v becomes %v, want %v", tt.wish, got, tt.want)
		}
	}
	upright := layersOf(&policy.HLSDestination{Layers: []policy.HLSLayer{layer(1280, 720, 2000, 64), layer(640, 360, 500, 64)}}, &policy.Layout{AspectRatio: "9:16"})
	if !slices.Equal(upright, []policy.HLSLayer{layer(720, 1280, 2000, 64), layer(360, 640, 500, 64)}) || variants(upright)[1].Name != "360p" {
		t.Errorf("upright: %v, %v", upright, variants(upright))
	}
	v := variants(layersOf(&policy.HLSDestination{}, nil))
	if len(v) != 1 || v[0].Name != "720p" || v[0].Bitrate != 2_628_000 {
		t.Errorf("%+v", v)
	}
}
