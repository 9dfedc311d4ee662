package conformance

import (
	"slices"
	"testing"
)

// makeTemplate makes the template of all rooms: a role for each way of taking part.
func (s *stage) makeTemplate(t *testing.T) (id string) {
	t.Helper()
	type object = map[string]any
	publish := func(allowed ...string) object {
		layer := func(rid string, scale, bitRate int) object {
			return object{"rid": rid, "scaleResolutionDownBy": scale, "maxBitrate": bitRate, "maxFramerate": 20}
		}
		if allowed == nil {
			return object{"allowed": []string{}}
		}
		return object{
			"allowed":   allowed,
			"audio":     object{"bitRate": 32, "codec": "opus"},
			"video":     object{"bitRate": 400, "codec": "vp8", "frameRate": 20, "width": 640, "height": 360},
			"screen":    object{"bitRate": 500, "codec": "vp8", "frameRate": 10, "width": 1280, "height": 720},
			"simulcast": object{"video": object{"layers": []object{layer("f", 1, 400), layer("h", 2, 150), layer("q", 4, 60)}}},
		}
	}
	watch := func(roles ...string) object {
		return object{"subscribeToRoles": append([]string{}, roles...), "maxSubsBitRate": 3200}
	}
	// What is not denied is granted, for some permissions.
	may := func(granted ...string) object {
		permissions := object{}
		for _, name := range []string{"endRoom", "removeOthers", "mute", "unmute", "changeRole", "hlsStreaming", "rtmpStreaming",
			"browserRecording", "pollRead", "pollWrite"} {
			permissions[name] = slices.Contains(granted, name) || slices.Contains(granted, "all")
		}
		return permissions
	}
	template := object{
		"name": "conformance",
		"roles": object{
			"host": object{"name": "host", "priority": 1, "permissions": may("all"),
				"publishParams": publish("audio", "video", "screen"), "subscribeParams": watch("host", "guest")},
			"guest": object{"name": "guest", "priority": 2, "permissions": may("pollRead"),
				"publishParams": publish("audio", "video"), "subscribeParams": watch("host", "guest")},
			"small": object{"name": "small", "priority": 2, "permissions": may(),
				"publishParams": object{"allowed": []string{"audio", "video"}, "audio": object{"bitRate": 32, "codec": "opus"},
					"video": object{"bitRate": 60, "codec": "vp8", "frameRate": 10, "width": 160, "height": 90}},
				"subscribeParams": watch("small", "voice")},
			"voice": object{"name": "voice", "priority": 3, "permissions": may(),
				"publishParams":   object{"allowed": []string{"audio"}, "audio": object{"bitRate": 32, "codec": "opus"}},
				"subscribeParams": watch("small", "voice")},
			"watcher": object{"name": "watcher", "priority": 3, "permissions": may("pollRead"),
				"publishParams": publish(), "subscribeParams": watch("host", "guest")},
			"gallery": object{"name": "gallery", "priority": 4, "permissions": may("pollRead"),
				"publishParams": publish(), "subscribeParams": watch()},
		},
		"settings": object{"region": "auto"},
		"destinations": object{"hlsDestinations": object{"main": object{
			"name": "main", "playlistType": "live", "videoFrameRate": 30, "enableStaticUrl": true, "autoStopTimeout": 300,
			"enableMetadataInsertion": true, "layers": []object{{"width": 640, "height": 360, "videoBitrate": 600, "audioBitrate": 64}},
		}}},
		"plugins": object{
			"whiteboard":     object{"permissions": object{"admin": []string{"host"}, "writer": []string{}, "reader": []string{"guest", "watcher"}}},
			"transcriptions": []object{{"mode": "caption", "permissions": object{"admin": []string{"host"}}}},
		},
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := s.server.API(t.Context(), "POST", "/v2/templates", template, &made); err != nil {
		t.Fatal(err)
	}
	return made.ID
}
