// How selectors are made.

import type { HMSStore, StoreSelector } from './types.js';

type Inputs<T extends unknown[]> = { [K in keyof T]: StoreSelector<T[K]> };

/** A selector that computes again only when one of its inputs is another object. */
export function derive<T extends unknown[], R>(inputs: readonly [...Inputs<T>], compute: (...values: T) => R): StoreSelector<R> {
  let last: T | undefined;
  let result: R;
  return (store) => {
    const values = inputs.map((input) => (input as StoreSelector<unknown>)(store)) as T;
    if (!last || values.some((value, i) => value !== last![i])) {
      result = compute(...values);
      last = values;
    }
    return result;
  };
}

/** Keeps one selector per id, so that a selector made anew at each rendering is still the same function. */
export function byID<R, S = HMSStore>(make: (id: string | undefined) => (store: S) => R): (id?: string) => (store: S) => R {
  const made = new Map<string | undefined, (store: S) => R>();
  return (id) => {
    let selector = made.get(id);
    if (!selector) {
      if (made.size >= 1000) made.delete(made.keys().next().value);
      made.set(id, (selector = make(id)));
    }
    return selector;
  };
}

export const isDefined = <T>(value: T | undefined): value is T => value !== undefined;
