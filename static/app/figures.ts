// What GET /v2/active-rooms/{room_id}/stats answers, and how its numbers are written for people.

export interface Path { packets: number; lost: number; loss_percent: number; rtt_ms: number; jitter_ms: number }

export interface Counts {
  packets: number; bytes: number; frames: number; lost: number; nacks: number; plis: number; retransmitted: number; dropped: number;
  bitrate: number; packets_per_second: number; fps: number; loss_percent: number; nacks_per_second: number; plis_per_second: number;
}

export interface Layer extends Counts { layer: string; active: boolean; jitter_ms: number }

export interface PublishedTrack {
  track_id: string; type: 'audio' | 'video'; source: string; mute: boolean; codec: string; subscribers: number; layers: Layer[];
}

export interface Subscription extends Counts { track_id: string; peer_id: string; type: 'audio' | 'video'; wanted: boolean; layer: string; limited: boolean }

export interface PeerMedia {
  id: string; name: string; user_id: string; role: string; joined_at: string; agent: string; via: string; quality: number;
  publish_state: string; subscribe_state: string; uplink: Path; downlink: Path; downlink_limit: number; tracks: PublishedTrack[]; subscriptions: Subscription[];
}

export interface RoomMedia { room_id: string; session_id: string; at: string; peers: PeerMedia[] }

/** Bits per second, e.g. 1.84 Mbit/s. */
export function bitrate(bps: number): string {
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(2)} Mbit/s`;
  return `${(bps / 1e3).toFixed(bps < 1e4 && bps > 0 ? 1 : 0)} kbit/s`;
}

/** A share, e.g. 0.4 %. */
export const percent = (share: number): string => `${share.toFixed(share > 0 && share < 10 ? 1 : 0)} %`;

/** Milliseconds; an en dash where they are not known. */
export const milliseconds = (ms: number): string => (ms > 0 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : '–');

/** A count, e.g. 12,345 or 1.2 M. */
export const many = (n: number): string => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n.toLocaleString('en'));

/** What a line's quality is called; the scale is that of the client protocol. */
export const quality = (score: number): string =>
  ({ 5: 'excellent', 4: 'good', 3: 'fair', 2: 'poor', 1: 'bad', 0: 'no connection' })[score] ?? 'not known yet';

/** The points of a line through values, in a box of that size; the highest value touches the top. */
export function sparkline(values: number[], width: number, height: number, length: number): string {
  const top = Math.max(...values, 1);
  const step = width / (length - 1);
  const first = width - (values.length - 1) * step;
  return values.map((v, i) => `${(first + i * step).toFixed(1)},${(height - 1 - (v / top) * (height - 2)).toFixed(1)}`).join(' ');
}
