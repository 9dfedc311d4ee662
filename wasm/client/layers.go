package client

import (
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// Layers as the data channel names them (§4.7).
const (
	layerNone   = "none"
	layerLow    = "low"
	layerMedium = "medium"
	layerHigh   = "high"
)

// layerOf maps a simulcast rid to the layer's name (§4.6).
var layerOf = map[string]string{"f": layerHigh, "h": layerMedium, "q": layerLow}

// layerDefinitions are the layers in which a peer of the role publishes its
// camera, the largest first; nil without simulcast.
func layerDefinitions(role policy.Role, source string) []LayerDefinition {
	p := role.PublishParams
	if source != protocol.SourceRegular || p.Simulcast == nil || p.Video == nil {
		return nil
	}
	var definitions []LayerDefinition
	for _, layer := range p.Simulcast.Video.Layers {
		name, known := layerOf[layer.RID]
		if !known || layer.ScaleResolutionDownBy < 1 {
			continue
		}
		definitions = append(definitions, LayerDefinition{Layer: name, Resolution: Resolution{
			Width:  int(float64(p.Video.Width) / layer.ScaleResolutionDownBy),
			Height: int(float64(p.Video.Height) / layer.ScaleResolutionDownBy),
		}})
	}
	return definitions
}

// layerFor chooses the smallest layer that fills a view of this size in device
// pixels. A picture is fitted into its view with cropping or borders, so one
// side that is filled is enough.
func layerFor(definitions []LayerDefinition, width, height int) string {
	if width <= 0 || height <= 0 {
		return layerNone
	}
	best, bestWidth := layerHigh, 0
	for _, d := range definitions {
		fills := d.Resolution.Width >= width || d.Resolution.Height >= height
		if fills && (bestWidth == 0 || d.Resolution.Width < bestWidth) {
			best, bestWidth = d.Layer, d.Resolution.Width
		}
	}
	return best
}

// encodings are the limits, or the simulcast layers, of a published track.
func encodings(role policy.Role, kind rtc.Kind, source string, simulcast bool) []rtc.Encoding {
	p := role.PublishParams
	if kind == rtc.Audio {
		// The SDK caps speech at 32 kbit/s whatever the role says (§4.5); the
		// role's own figure is the better one where there is one.
		bitRate := 32
		if p.Audio != nil && p.Audio.BitRate > 0 {
			bitRate = p.Audio.BitRate
		}
		return []rtc.Encoding{{MaxBitrate: bitRate * 1000}}
	}
	video := p.Video
	if source == protocol.SourceScreen {
		video = p.Screen
	}
	if video == nil {
		return nil
	}
	if source == protocol.SourceRegular && simulcast && p.Simulcast != nil && len(p.Simulcast.Video.Layers) > 0 {
		var list []rtc.Encoding
		for _, layer := range p.Simulcast.Video.Layers {
			list = append(list, rtc.Encoding{
				RID: layer.RID, ScaleDownBy: layer.ScaleResolutionDownBy, MaxBitrate: layer.MaxBitrate * 1000,
				MaxFrameRate: float64(layer.MaxFramerate),
			})
		}
		return list
	}
	return []rtc.Encoding{{MaxBitrate: video.BitRate * 1000, MaxFrameRate: float64(video.FrameRate)}}
}

// sameLayers tells whether two roles publish their camera alike; if not, a
// change between them publishes it anew (§7.5).
func sameLayers(a, b policy.Role) bool {
	layers := func(r policy.Role) []policy.SimulcastLayer {
		if r.PublishParams.Simulcast == nil {
			return nil
		}
		return r.PublishParams.Simulcast.Video.Layers
	}
	x, y := layers(a), layers(b)
	if len(x) != len(y) {
		return false
	}
	byRID := map[string]policy.SimulcastLayer{}
	for _, layer := range y {
		byRID[layer.RID] = layer
	}
	for _, layer := range x {
		other := byRID[layer.RID]
		if other.MaxBitrate != layer.MaxBitrate || other.MaxFramerate != layer.MaxFramerate {
			return false
		}
	}
	return true
}
