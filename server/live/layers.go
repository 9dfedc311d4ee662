package live

import (
	"cmp"
	"slices"
	"strconv"

	"amphi/compositor/wire"
	"amphi/server/hls"
	"amphi/server/policy"
)

// layersOf are the sizes that a destination wants, best first, with defaults for what the template leaves open. All have
// the shape of the best, as they show the same canvas, or the one that the layout asks for; of those with the same height
// the first counts. How many there are does not depend on the layout, which may change while they are live.
func layersOf(dest *policy.HLSDestination, l *policy.Layout) (layers []policy.HLSLayer) {
	for _, l := range dest.Layers {
		if l.Width <= 0 || l.Height <= 0 {
			l.Width, l.Height = 1280, 720
		}
		if l.VideoBitrate <= 0 {
			l.VideoBitrate = 2500
		}
		if l.AudioBitrate <= 0 {
			l.AudioBitrate = 128
		}
		l.Width, l.Height = l.Width&^1, l.Height&^1
		layers = append(layers, l)
	}
	if len(layers) == 0 {
		layers = []policy.HLSLayer{{Width: 1280, Height: 720, VideoBitrate: 2500, AudioBitrate: 128}}
	}
	slices.SortStableFunc(layers, func(a, b policy.HLSLayer) int { return cmp.Compare(b.Height, a.Height) })
	layers = slices.CompactFunc(layers, func(a, b policy.HLSLayer) bool { return a.Height == b.Height })
	layers = layers[:min(len(layers), wire.MaxRenditions)]
	best := layers[0]
	for i := range layers {
		layers[i].Width = (layers[i].Height*best.Width + best.Height) / (2 * best.Height) * 2
		layers[i] = l.Shape(layers[i])
	}
	return layers
}

// renditions are what the worker is told to make of the layers.
func renditions(layers []policy.HLSLayer) (all []wire.Rendition) {
	for _, l := range layers {
		all = append(all, wire.Rendition{Width: uint16(l.Width), Height: uint16(l.Height), Bitrate: uint32(l.VideoBitrate) * 1000})
	}
	return all
}

// variants are what players are told of the layers. They are named by the short side, which is the same in every layout.
// The sound is the same in all.
func variants(layers []policy.HLSLayer) (all []hls.Rendition) {
	for _, l := range layers {
		all = append(all, hls.Rendition{Name: strconv.Itoa(min(l.Width, l.Height)) + "p", Bitrate: (l.VideoBitrate + layers[0].AudioBitrate) * 1000})
	}
	return all
}
