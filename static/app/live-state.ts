import { selectHLSState } from '../sdk/selectors.js';
import { HMSStreamingState } from '../sdk/types.js';
import type { HMSStore } from '../sdk/types.js';

export type LiveState = 'off' | 'starting' | 'live' | 'failed';

/** Where the live stream stands. */
export function selectLive(state: HMSStore): LiveState {
  const { running, variants, error } = selectHLSState(state);
  const variant = variants[0];
  if (variant?.state === HMSStreamingState.INITIALISED) return 'starting';
  if (running) return variant?.url ? 'live' : 'starting';
  return variant?.state === HMSStreamingState.FAILED || error ? 'failed' : 'off';
}
