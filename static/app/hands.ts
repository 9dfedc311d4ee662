// The queue of raised hands.
import { selectHandRaisedPeers, store } from './sdk.js';

/**
 * The hands that are up, in the order in which they were raised as far as it was seen here: the server tells that a hand is
 * up, not since when. So those that were up already when we came are in the order of the list.
 */
export function queue(before: string[], up: string[]): string[] {
  return [...before.filter((peer) => up.includes(peer)), ...up.filter((peer) => !before.includes(peer))];
}

let order: string[] = [];

/** Peer ids, who raised a hand first at first. */
export const raisedHands = (): string[] => order;

/** Follows the hands until the returned function is called. */
export function watchHands(): () => void {
  const look = () => { order = queue(order, store.getState(selectHandRaisedPeers).map((peer) => peer.id)); };
  look();
  return store.subscribe(look, selectHandRaisedPeers);
}
