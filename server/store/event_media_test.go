package store

import (
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// TestMediaEvents holds the bodies of the events about recordings, pushes, transcripts and ingest against the contract.
func TestMediaEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		v, err := s.OpenSession(ctx, "S", seed.Room.ID, start)
		check(t, err)
		drain(t, s, seed)
		v.EndedAt = v.CreatedAt.Add(time.Hour)
		at := func(sec int) time.Time { return v.CreatedAt.Add(time.Duration(sec) * time.Second) }
		r, w := seed.Room, seed.Workspace

		b := beam{ID: "B", PeerID: "p1", MeetingURL: "https://m", Width: 1280, Height: 720, RTMPURLs: []string{"rtmp://a/b"}, Recording: true,
			CreatedAt: at(1), StartedAt: at(3), StoppedAt: at(63)}
		quiet := beam{ID: "B", CreatedAt: at(1), StoppedAt: at(2)}
		file := mediaFile{ID: "A", Path: "s3://b/r.mp4", URL: "https://r", Size: 1000, Duration: 60, Width: 1280, Height: 720}
		small := mediaFile{ID: "A2", Path: "s3://b/r2.mp4", URL: "https://r2", Size: 500, Width: 640, Height: 360}
		chat := mediaFile{Path: "s3://b/c.csv", URL: "https://c"}
		l := LiveStream{ID: "L", MeetingURL: "https://m", Width: 1280, Height: 720, StartedAt: at(3), StoppedAt: at(63)}
		stills := newStillFiles(Recorded{Poster: Still{Path: "s3://b/p.jpg", URL: "https://p"},
			Thumbnails: []Still{{Path: "s3://b/t.png", URL: "https://t", Width: 1280, Height: 720, Offset: 60}}})
		track := trackEvent{RoomID: r.ID, SessionID: "S", PeerID: "p1", StreamID: "st", TrackID: "tr", TrackType: "video"}
		stream := streamRecorded{RoomID: r.ID, SessionID: "S", PeerID: "p1", StreamID: "st", UserID: "u1", StreamType: "screen", Type: "screen",
			recordedFile: recordedFile{Size: 1000, Duration: 60, RecordingID: "A", RecordingPath: "s3://b/s.webm", RecordingURL: "https://s"}}
		script := transcript{AccountID: w.ID, AppID: w.AppID, MetadataID: "14f350f5", MetadataTimestamp: at(70), RecordingID: "R", RoomID: r.ID, RoomName: r.Name,
			SessionID: "S", TranscriptionID: "T", Duration: 60, SummaryJSON: "a1", TranscriptJSON: "a2", TranscriptSRT: "a3", TranscriptTXT: "a4"}
		ingest := ingestRef{AccountID: w.ID, AppID: w.AppID, RoomID: r.ID, TemplateID: r.TemplateID}
		ingested := ingestStarted{ingestRef: ingest, IngestID: "I", StreamID: "st", StartedAt: at(3)}

		const (
			room    = `"room_id":"ROOM","room_name":"main-stage","session_id":"S","template_id":"TEMPLATE"`
			opened  = `"session_started_at":"2024-01-24T08:14:00.101Z"`
			closed  = `"session_stopped_at":"2024-01-24T09:14:00.101Z"`
			beamEnd = `"metadata_id":"META","metadata_timestamp":"`
			beamSet = `"meeting_url":"https://m","max_width":1280,"max_height":720,"rtmp":[{"url":"rtmp://a/b"}],` + opened
			beamBy  = `"room_id":"ROOM","session_id":"S","template_id":"TEMPLATE","peer_id":"p1",` + beamEnd
			noBeam  = `"room_id":"ROOM","session_id":"S","template_id":"TEMPLATE","peer_id":"",` + beamEnd
			chats   = `"chat_recording_path":"s3://b/c.csv","chat_recording_presigned_url":"https://c"`
			hls     = `"beam_id":"L","room_id":"ROOM","session_id":"S","template_id":"TEMPLATE",` + beamEnd + `2024-01-24T08:15:10.101Z","meeting_url":"https://m","max_width":1280,"max_height":720,"duration":60,"started_at":"2024-01-24T08:14:03.101Z","stopped_at":"2024-01-24T08:15:03.101Z","recording_created_at":"2024-01-24T08:15:10.101Z",` + opened + `,"recording_id":"R",`
			tracks  = `"room_id":"ROOM","session_id":"S","peer_id":"p1","stream_id":"st","track_id":"tr","track_type":"video"`
			streams = `"room_id":"ROOM","session_id":"S","peer_id":"p1","stream_id":"st","user_id":"u1","stream_type":"screen","type":"screen","size":1000,"duration":60,"recording_id":"A","recording_path":"s3://b/s.webm"`
			scripts = `"account_id":"WORKSPACE","app_id":"APP","metadata_id":"META","metadata_timestamp":"2024-01-24T08:15:10.101Z","recording_id":"R","room_id":"ROOM","room_name":"main-stage","session_id":"S","transcription_id":"T","duration":60,"summary_json_asset_id":"a1","transcript_json_asset_id":"a2","transcript_srt_asset_id":"a3","transcript_txt_asset_id":"a4"`
			files   = `,"summary_json_path":"1","summary_json_presigned_url":"2","transcript_json_path":"3","transcript_json_presigned_url":"4","transcript_srt_path":"5","transcript_srt_presigned_url":"6","transcript_txt_path":"7","transcript_txt_presigned_url":"8"`
			ingests = `"account_id":"WORKSPACE","app_id":"APP","room_id":"ROOM","template_id":"TEMPLATE"`
			began   = ingests + `,"ingest_id":"I","stream_id":"st","started_at":"2024-01-24T08:14:03.101Z"`
		)
		failed := recordedFile{RecordingID: "A", RecordingPath: "s3://b/t.webm", ErrorMessage: "INTERNAL_ERROR"}
		unsaved := stream
		unsaved.RecordingURL, unsaved.ErrorMessage = "", "INTERNAL_ERROR"
		cases := []struct {
			kind string
			data any
			want string
		}{
			{"beam.started.success", newBeamStarted(b, r, v), `"beam_id":"B","job_id":"B",` + beamBy + `2024-01-24T08:14:03.101Z",` + beamSet + `,"recording_enabled":true,"state_name":"Started","state_timestamp":"2024-01-24T08:14:03.101Z","start_delay":2`},
			{"beam.stopped.success", newBeamStopped(b, r, v, StoppedByRequest), `"beam_id":"B","job_id":"B",` + beamBy + `2024-01-24T08:15:03.101Z",` + beamSet + `,"recording_enabled":true,"state_name":"Stopped","state_timestamp":"2024-01-24T08:15:03.101Z","duration":60,"reason":"client request"`},
			{"beam.failure", newBeamFailed(quiet, r, v, Failure{Type: "BEAM_STOPPED", Message: "Beam stopped too early"}), `"beam_id":"B","job_id":"B",` + noBeam + `2024-01-24T08:14:02.101Z","meeting_url":"","max_width":0,"max_height":0,"rtmp":[],` + opened + `,"recording_enabled":false,"state_name":"Failed","state_timestamp":"2024-01-24T08:14:02.101Z","duration":0,"error_type":"BEAM_STOPPED","error_message":"Beam stopped too early","error_code":1`},
			{"beam.recording.success", newBeamRecording(b, r, v, file, chat, stillFiles{}, at(70)), `"beam_id":"B",` + beamBy + `2024-01-24T08:15:10.101Z",` + beamSet + `,"created_at":"2024-01-24T08:14:01.101Z","started_at":"2024-01-24T08:14:03.101Z","stopped_at":"2024-01-24T08:15:03.101Z","duration":60,"size":1000,"recording_id":"A","recording_path":"s3://b/r.mp4","recording_presigned_url":"https://r",` + chats + `,"location":"s3://b/r.mp4"`},

			{"hls.recording.success", newHLSRecording(l, r, v, "R", &file, []mediaFile{file, small}, chat, stillFiles{}, at(70)), hls + `"hls_vod_recording_path":"s3://b/r.mp4","hls_vod_recording_presigned_url":"https://r","hls_vod_recording_size":1000,"recording_hls_vod_playlist_location":"https://r",` + chats + `,"recording_single_files":[{"asset_id":"A","layer":"0","recording_path":"s3://b/r.mp4","recording_presigned_url":"https://r","size":1000,"width":1280,"height":720},{"asset_id":"A2","layer":"1","recording_path":"s3://b/r2.mp4","recording_presigned_url":"https://r2","size":500,"width":640,"height":360}]`},
			{"hls.recording.success", newHLSRecording(l, r, v, "R", nil, nil, chat, stills, at(70)), hls + chats + `,"recording_poster_path":"s3://b/p.jpg","recording_poster_presigned_url":"https://p","recording_thumbnails":[{"width":1280,"height":720,"offset":60,"location":"s3://b/t.png","url":"https://t"}]`},

			{"track.recording.started.success", track, tracks},
			{"track.recording.success", trackRecorded{track, recordedFile{1000, 60, "A", "s3://b/t.webm", "https://t", ""}}, tracks + `,"size":1000,"duration":60,"recording_id":"A","recording_path":"s3://b/t.webm","recording_presigned_url":"https://t"`},
			{"track.recording.failure", trackRecorded{track, failed}, tracks + `,"size":0,"duration":0,"recording_id":"A","recording_path":"s3://b/t.webm","error_message":"INTERNAL_ERROR"`},
			{"stream.recording.success", stream, streams + `,"recording_presigned_url":"https://s"`},
			{"stream.recording.failure", unsaved, streams + `,"error_message":"INTERNAL_ERROR"`},

			{"recording.success", newCompositeRecorded(r, v, file, chat), room + `,"location":"s3://b/r.mp4","URL":"https://r","recording_path":"s3://b/r.mp4","recording_presigned_url":"https://r",` + chats + `,"duration":60,"size":1000,` + opened + `,` + closed},
			{"recording.failed", newCompositeFailed(r, v, Failure{Type: "INPUT_ERROR", Message: "No input streams available to create recording"}), room + `,"error":"No input streams available to create recording","error_type":"INPUT_ERROR",` + opened + `,` + closed},

			{"transcription.started.success", script, scripts},
			{"transcription.success", transcribed{script, "1", "2", "3", "4", "5", "6", "7", "8"}, scripts + files},
			{"transcription.failure", transcribed{script, "1", "2", "3", "4", "5", "6", "7", "8"}, scripts + files},

			{"ingest.start.success", ingested, began},
			{"ingest.end.success", ingestEnded{ingested, at(63), at(62), 60, "stream closed"}, began + `,"completed_at":"2024-01-24T08:15:03.101Z","last_disconnected_at":"2024-01-24T08:15:02.101Z","duration":60,"reason":"stream closed"`},
			{"ingest.start.failure", ingestFailed{ingest, "", "internal error"}, ingests + `,"error_message":"internal error"`},
			{"ingest.failure", ingestFailed{ingest, "I", "internal error"}, ingests + `,"ingest_id":"I","error_message":"internal error"`},
		}
		var want []string
		for _, c := range cases {
			check(t, s.update(ctx, func(tx *tx) error {
				room, err := tx.room(r.ID)
				if err != nil {
					return err
				}
				return tx.event(room, at(70), c.kind, c.data)
			}))
			version := "2.0"
			if c.kind == "recording.success" || c.kind == "recording.failed" {
				version = "1.0"
			}
			want = append(want, `{"version":"`+version+`","id":"EVENT","account_id":"WORKSPACE","app_id":"APP","timestamp":"2024-01-24T08:15:10Z","type":"`+c.kind+`","data":{`+c.want+`}}`)
		}
		compare(t, drain(t, s, seed), want)
	})
}

// TestFailureEvents has those about people who were refused something.
func TestFailureEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx, room := t.Context(), seed.Room.ID
		_, err := s.OpenSession(ctx, "S", room, start)
		check(t, err)
		p := Peer{ID: "p1", SessionID: "S", Name: "Ada", Role: "viewer", UserID: "u1", JoinedAt: start}
		check(t, s.PeerJoined(ctx, p, "d"))
		drain(t, s, seed)

		check(t, s.JoinFailed(ctx, room, p, "d", FailedRole, start))
		check(t, s.LeaveFailed(ctx, room, p, "d", FailedNotJoined, start))
		check(t, s.RoleChangeFailed(ctx, "S", "p1", RoleChange{At: start, Role: "host", RequestedBy: "p2", Data: "d"}, FailedRoleLimit))
		check(t, s.RoomEndFailed(ctx, room, "S", RoomEnd{At: start, PeerID: "p1", Lock: true, Reason: "over"}, 403, "not allowed"))
		check(t, s.RoomEndFailed(ctx, room, "", RoomEnd{At: start, Reason: "over"}, 404, FailedNoSession))
		check(t, s.CloseSession(ctx, "S", start)) // no second after it began: durations of 0 are said, too

		const head = `{"version":"2.0","id":"EVENT","account_id":"WORKSPACE","app_id":"APP","timestamp":"2024-01-24T08:14:00Z","type":"`
		const peer = `"peer_id":"p1","user_id":"u1","user_name":"Ada","user_data":"d","role":"`
		const who = `"room_id":"ROOM","room_name":"main-stage","template_id":"TEMPLATE",` + peer + `viewer","joined_at":"0001-01-01T00:00:00Z","type":"regular","error_message":"`
		const in = `"room_id":"ROOM","room_name":"main-stage","session_id":"S","template_id":"TEMPLATE",`
		const opened = `"session_started_at":"2024-01-24T08:14:00.101Z"`
		const stay = `"joined_at":"2024-01-24T08:14:00.101Z",` + opened + `,"type":"regular"`
		compare(t, drain(t, s, seed), []string{
			head + `peer.join.failure","data":{` + who + `role not allowed"}}`,
			head + `peer.leave.failure","data":{` + who + `Peer not joined","left_at":"0001-01-01T00:00:00Z","duration":0}}`,
			head + `role.change.failure","data":{` + in + peer + `host",` + stay + `,"role_change_requested_by":"p2","error_message":"role limit reached"}}`,
			head + `room.end.failure","data":{` + in + `"peer_id":"p1","user_id":"u1","user_name":"Ada","role":"viewer","lock_room":true,"reason":"over","source":"peer",` + opened + `,"error_code":403,"error_message":"not allowed"}}`,
			head + `room.end.failure","data":{"room_id":"ROOM","room_name":"main-stage","session_id":"","template_id":"TEMPLATE","peer_id":"","user_id":"","user_name":"","role":"","lock_room":false,"reason":"over","source":"api","session_started_at":"0001-01-01T00:00:00Z","error_code":404,"error_message":"session not found"}}`,
			head + `peer.leave.success","data":{` + in + `"peer_id":"p1","user_id":"u1","user_name":"Ada","user_data":"","role":"viewer",` + stay + `,"left_at":"2024-01-24T08:14:00.101Z","duration":0,"reason":"server removed peer","message":""}}`,
			head + `session.close.success","data":{` + in + opened + `,"session_stopped_at":"2024-01-24T08:14:00.101Z","session_duration":0}}`,
		})
	})
}
