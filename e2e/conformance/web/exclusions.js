// Rows that a client cannot show, each with its reason: with '100ms' the unmodified SDK, with 'amphi' ours.
export const exclusions = {
  '100ms': {},
  'amphi': {},
};

/** Parts of rows that are left out for both. The cases find out themselves whether the server can do them, and show them if so. */
export const parts = {
  simulcast: 'but for simulcast: the server does not offer it, there is one layer',
  vod: 'but for on-record-update: the server does not record live streams',
  recording: 'failure states only: the server does not record the room or push it',
  migration: 'the migration itself: in TestFaults, when the server is started again',
};
