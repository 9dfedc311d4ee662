// What is measured of the media: a store of its own, since it changes every second.

import { byID } from './select.js';
import type { Listener } from './store.js';
import { freeze, isSame } from './store.js';
import type { HMSPeerID, HMSPreferredSimulcastLayer, HMSTrackID } from './types.js';
import { HMSSimulcastLayer, simulcastMapping } from './types.js';
import type { RID } from './types.js';

/** An entry of the browser's own statistics (webrtc-stats), and what follows from two of them. */
export interface HMSTrackStats extends RTCRtpStreamStats {
  trackIdentifier: string;
  /** bit/s */
  bitrate: number;
  codec?: string;
  peerID?: string;
  peerName?: string;
  enabled?: boolean;
  rid?: RID;
  bytesSent?: number;
  bytesReceived?: number;
  packetsSent?: number;
  packetsReceived?: number;
  packetsLost?: number;
  packetsLostRate?: number;
  /** Seconds, as all times of these entries. */
  jitter?: number;
  roundTripTime?: number;
  totalRoundTripTime?: number;
  frameWidth?: number;
  frameHeight?: number;
  framesPerSecond?: number;
  framesDropped?: number;
  framesReceived?: number;
  freezeCount?: number;
  audioLevel?: number;
}
export type HMSConnectionType = RTCIceCandidateType | `relay(${'udp' | 'tcp' | 'tls'})`;
export interface HMSConnectionStats extends RTCIceCandidatePairStats {
  bitrate: number;
  localCandidate?: RTCStats & { candidateType?: RTCIceCandidateType; relayProtocol?: 'udp' | 'tcp' | 'tls' };
  remoteCandidate?: RTCStats & { candidateType?: RTCIceCandidateType };
}
export interface HMSPeerStats {
  publish?: HMSConnectionStats & { outboundRtpBytesSent?: number };
  subscribe?: HMSConnectionStats & { packetsLost: number; packetsLostRate: number; jitter: number };
}
export interface HMSStatsStore {
  remoteTrackStats: Record<HMSTrackID, HMSTrackStats | undefined>;
  /** One entry a layer. */
  localTrackStats: Record<HMSTrackID, HMSTrackStats[] | undefined>;
  peerStats: Record<HMSPeerID, HMSPeerStats | undefined>;
  localPeer: { id: HMSPeerID; videoTrack?: HMSTrackID; audioTrack?: HMSTrackID };
}

type StatsSelector<T> = (store: HMSStatsStore) => T;

export const createDefaultStatsStore = (): HMSStatsStore =>
  freeze({ remoteTrackStats: {}, localTrackStats: {}, peerStats: {}, localPeer: { id: '' } });

/** The store of statistics. It is filled from the first `getStats()` on. */
export class HMSStats {
  private state = createDefaultStatsStore();
  private readonly subscriptions = new Set<() => void>();

  // Functions of the object itself, as those of the store.
  readonly getState = (<T>(selector?: StatsSelector<T>): T | HMSStatsStore => (selector ? selector(this.state) : this.state)) as {
    (): HMSStatsStore;
    <T>(selector?: StatsSelector<T>): T;
  };

  readonly subscribe = <T = HMSStatsStore>(listener: Listener<T>, selector?: StatsSelector<T>): (() => void) => {
    const select = selector ?? ((store: HMSStatsStore) => store as T);
    let last = select(this.state);
    const check = () => {
      const value = select(this.state);
      if (isSame(value, last)) return;
      const previous = last;
      last = value;
      listener(value, previous);
    };
    this.subscriptions.add(check);
    return () => this.subscriptions.delete(check);
  };

  replace(state: HMSStatsStore): void {
    this.state = freeze(state);
    for (const check of [...this.subscriptions]) {
      try {
        check();
      } catch (error) {
        console.error('amphi: subscriber of statistics failed', error);
      }
    }
  }
}

const localPeerStats: StatsSelector<HMSPeerStats | undefined> = (store) => store.peerStats[store.localPeer.id];
const publish = <T>(of: (stats: NonNullable<HMSPeerStats['publish']>) => T): StatsSelector<T | undefined> => (store) => {
  const stats = localPeerStats(store)?.publish;
  return stats && of(stats);
};
const subscribe = <T>(of: (stats: NonNullable<HMSPeerStats['subscribe']>) => T): StatsSelector<T | undefined> => (store) => {
  const stats = localPeerStats(store)?.subscribe;
  return stats && of(stats);
};
const connectionType = ({ localCandidate }: HMSConnectionStats): HMSConnectionType | undefined =>
  localCandidate?.relayProtocol ? `relay(${localCandidate.relayProtocol})` : localCandidate?.candidateType;
const of = <T>(make: (store: HMSStatsStore, id: string) => T | undefined) =>
  byID<T | undefined, HMSStatsStore>((id) => (store) => (id ? make(store, id) : undefined));
const localTrack = (kind: 'audioTrack' | 'videoTrack'): StatsSelector<HMSTrackStats | undefined> => (store) =>
  store.localTrackStats[store.localPeer[kind] ?? '']?.[0];

/** Selectors for `HMSReactiveStore.getStats()`. */
export const selectHMSStats = {
  localPeerStats,
  packetsLost: subscribe((stats) => stats.packetsLost),
  jitter: subscribe((stats) => stats.jitter),
  publishBitrate: publish((stats) => stats.bitrate),
  subscribeBitrate: subscribe((stats) => stats.bitrate),
  availablePublishBitrate: publish((stats) => stats.availableOutgoingBitrate),
  availableSubscribeBitrate: subscribe((stats) => stats.availableIncomingBitrate),
  publishConnectionType: publish(connectionType) as StatsSelector<HMSConnectionType | undefined>,
  subscribeConnectionType: subscribe(connectionType) as StatsSelector<HMSConnectionType | undefined>,
  totalBytesSent: publish((stats) => stats.bytesSent),
  totalBytesReceived: subscribe((stats) => stats.bytesReceived),
  peerStatsByID: of((store, id) => store.peerStats[id]),
  trackStatsByID: of((store, id) => store.remoteTrackStats[id] ?? store.localTrackStats[id]?.[0]),
  localAudioTrackStatsByID: of((store, id) => store.localTrackStats[id]?.[0]),
  localVideoTrackStatsByID: of((store, id) => store.localTrackStats[id]),
  localVideoTrackStatsByLayer: (layer: HMSPreferredSimulcastLayer = HMSSimulcastLayer.HIGH) => of((store, id) =>
    store.localTrackStats[id]?.find(({ rid }) => (rid ? simulcastMapping[rid] : HMSSimulcastLayer.HIGH) === layer)),
  localAudioTrackStats: localTrack('audioTrack'),
  localVideoTrackStats: localTrack('videoTrack'),
};
