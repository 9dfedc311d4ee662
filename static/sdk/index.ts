// The Amphi web client: live video over WebRTC and HLS, with the names of @100mslive/hms-video-store and
// @100mslive/hls-player.
//
//   const hms = new HMSReactiveStore();
//   await hms.getActions().join({ authToken, userName: 'Ann' });
//   hms.getStore().subscribe(renderPeers, selectPeers);

export { HMSReactiveStore } from './reactive-store.js';
export { HMSError } from './bridge.js';
export type { HMSActions, HMSActions as IHMSActions, IHMSSessionStoreActions } from './actions.js';
export type { IHMSNotifications, IHMSNotifications as HMSNotifications } from './notifications.js';
export type { IHMSStoreReadOnly, IHMSStoreReadOnly as HMSStoreWrapper } from './store.js';
export { HMSHLSPlayer, HMSHLSPlayerEvents, HLSPlaybackState } from './hls-player.js';
export type { HMSHLSLayer, HMSHLSStats, HMSHLSPlayerEventData } from './hls-player.js';
export * from './selectors.js';
export * from './selectors-more.js';
export { createDefaultStatsStore, HMSStats, selectHMSStats } from './stats.js';
export type {
  HMSConnectionStats, HMSConnectionType, HMSPeerStats, HMSStats as HMSStatsStoreWrapper, HMSStatsStore, HMSTrackStats,
} from './stats.js';
export { initialState as createDefaultStoreState } from './store.js';
export * from './types.js';
export { parsedUserAgent } from './user-agent.js';
