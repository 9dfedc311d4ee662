// Holds this SDK's types against those of @100mslive/hms-video-store 0.15.2 and @100mslive/hls-player 0.5.7: what is
// public there is here with a fitting type, or stands with a reason in exclusions.json. The compiler is the test.

import type * as TheirPlayer from '@100mslive/hls-player';
import type * as Theirs from '@100mslive/hms-video-store';
import type exclusions from '../exclusions.json';
import type * as Ours from '../index.js';

/** Fails to compile unless T is never; the error names what T is. */
type None<T extends never> = T;
type Excluded<Part extends keyof typeof exclusions> = Part extends unknown ? keyof (typeof exclusions)[Part] : never;
/** Without errors: theirs are declared as a class of which only the fields are public. */
type Plain<T> = T extends Date | string ? T : T extends readonly (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T as K extends 'error' ? never : K]: Plain<T[K]> } : T;

// Every export is there, or excluded; nothing excluded is there.
export type MissingExports = None<Exclude<keyof typeof Theirs, keyof typeof Ours | Excluded<'exports' | 'selectors'>>>;
export type NeedlessExports = None<Extract<keyof typeof Ours, Excluded<'exports' | 'selectors'>>>;
export type UnknownExports = None<Exclude<Excluded<'exports' | 'selectors'>, keyof typeof Theirs>>;

// Every action, likewise; and what may be given to theirs may be given to ours.
type TheirActions = Theirs.HMSActions;
type OurActions = Ours.HMSActions;
export type MissingActions = None<Exclude<keyof TheirActions, keyof OurActions | Excluded<'actions'>>>;
export type NeedlessActions = None<Extract<keyof OurActions, Excluded<'actions'>>>;
export type UnknownActions = None<Exclude<Excluded<'actions'>, keyof TheirActions>>;
/** Names of members of Mine that cannot stand where Yours stand. */
type Misfits<Mine, Yours> = {
  [K in keyof Mine & keyof Yours]: [Mine[K]] extends [Yours[K]] ? never : K
}[keyof Mine & keyof Yours];
export type MisfitActions = None<Misfits<Omit<OurActions, 'getTrackById'>, TheirActions>>; // theirs is declared with an inner class
export type MisfitPolls = None<Misfits<OurActions['interactivityCenter'], TheirActions['interactivityCenter']>>;
export type MissingPolls = None<Exclude<keyof TheirActions['interactivityCenter'], keyof OurActions['interactivityCenter']>>;
export type MisfitSession = None<Misfits<OurActions['sessionStore'], TheirActions['sessionStore']>>;

// Selectors give what theirs give, for the arguments that theirs take; values of the application's own are any.
type Given<S> = S extends (store: any) => infer R
  ? R extends (store: any) => infer Inner ? Inner : R
  : never;
type Arguments<S> = S extends (...args: infer A) => (store: any) => unknown ? A : [];
type SelectorNames = Extract<keyof typeof Ours & keyof typeof Theirs, `select${string}`>;
export type MisfitSelectors = None<{
  [K in Exclude<SelectorNames, 'selectHMSStats' | 'selectSessionStore' | 'selectSessionMetadata'>]:
    [Plain<Given<(typeof Ours)[K]>>] extends [Plain<Given<(typeof Theirs)[K]>>]
      ? Arguments<(typeof Theirs)[K]> extends Arguments<(typeof Ours)[K]> ? never : K
      : K
}[Exclude<SelectorNames, 'selectHMSStats' | 'selectSessionStore' | 'selectSessionMetadata'>]>;
export type MissingStats = None<Exclude<keyof typeof Theirs.selectHMSStats, keyof typeof Ours.selectHMSStats>>;

// The state, as selectors of the application's own read it.
export type MisfitState = None<Misfits<Plain<Ours.HMSStore>, Plain<Theirs.HMSStore>>>;
export type MissingState = None<Exclude<keyof Theirs.HMSStore, keyof Ours.HMSStore | 'playlist' | 'hideLocalPeer'>>;

// Notifications.
export type MissingNotifications = None<Exclude<`${Theirs.HMSNotificationTypes}`, `${Ours.HMSNotificationTypes}`>>;

// The class itself.
export type MissingMembers = None<Exclude<keyof Theirs.HMSReactiveStore, keyof Ours.HMSReactiveStore | Excluded<'store'>>>;

// The player.
export type MissingPlayer = None<Exclude<keyof TheirPlayer.HMSHLSPlayer, keyof Ours.HMSHLSPlayer>>;
export type MissingPlayerEvents = None<Exclude<`${TheirPlayer.HMSHLSPlayerEvents}`, `${Ours.HMSHLSPlayerEvents}`>>;
