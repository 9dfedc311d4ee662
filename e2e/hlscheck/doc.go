// Package hlscheck follows a live HLS stream as a careful player would, and holds every playlist and every file against
// the rules of RFC 8216bis that a packager can break. Sections are those of the draft.
//
// The form of a playlist (parse, parseVariants):
//   - UTF-8 without control characters, its first line #EXTM3U, no tag that is unknown (4.1)
//   - attribute lists have each name once, values of the right type, and what is required (4.2)
//   - EXT-X-VERSION, TARGETDURATION, MEDIA-SEQUENCE and the like are there once, before the first segment (4.4.1 to 4.4.3)
//   - each segment has one EXTINF; its tags come before its parts (4.4.4)
//   - PROGRAM-DATE-TIME has milliseconds and a zone (4.4.4.6)
//   - date ranges end after they begin, and their playlist has dates (4.4.5.1)
//   - one preload hint, and none after the end (4.4.5.3); a version that knows EXT-X-SKIP (8)
//   - variants have BANDWIDTH, CODECS, RESOLUTION and an address, and are alike in their groups (4.4.6.2)
//
// A playlist, and what follows it (history):
//   - no segment is longer than the target (4.4.3.1), no part than its target, none but the last shorter than 85 % (4.4.3.7)
//   - PART-HOLD-BACK is three parts, CAN-SKIP-UNTIL six targets (4.4.3.8)
//   - dates go on without a hole, parts sum up to their segment (4.4.4.6, 4.4.4.9)
//   - parts are listed for three targets, and no longer (4.4.4.9); three targets are listed (6.2.2)
//   - the first part of a segment is independent (4.4.2.1)
//   - targets, type, and what was listed never change (6.2.1, 6.2.2); an event loses nothing (4.4.3.5)
//   - media and discontinuity sequence go on as segments leave (4.4.3.2, 4.4.3.3); nothing follows the end (4.4.3.4)
//   - hints come true (4.4.5.3); date ranges stay as they were (4.4.5.1)
//   - reports name the newest part of the other renditions (4.4.5.4)
//
// The server (follower):
//   - a blocking reload has what was asked for (6.2.5.2); what is too far ahead, or contradicts itself, is refused
//   - a delta update is the full playlist but for what is older than its skip boundary, and only for who asks (6.2.5.1)
//   - renditions have the same segments at the same dates (6.2.4)
//   - segments are there for some time after they left (6.2.2), gaps are not (4.4.4.7)
//   - a segment is its parts in a row; tracks go on where they ended, and are of the same time
//   - no segment is above its variant's BANDWIDTH; CODECS and RESOLUTION are those of the file (4.4.6.2)
package hlscheck
