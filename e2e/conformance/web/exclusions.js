// Rows that a client cannot show, each with its reason: with '100ms' the unmodified SDK, with 'amphi' ours.
export const exclusions = {
  '100ms': {},
  // Actions that static/sdk/exclusions.json leaves out of ours.
  'amphi': {
    'audioPlaylist': 'the SDK has no playlists: addTrack publishes what an element plays',
    'videoPlaylist': 'the SDK has no playlists: addTrack publishes what an element plays',
    'setPlaylistSettings': 'the SDK has no playlists',
    'plugins of the video track': 'the SDK has no plugins: addTrack publishes a processed track',
    'plugins of the video stream': 'the SDK has no plugins: addTrack publishes a processed track',
    'plugins of the audio track': 'the SDK has no plugins: addTrack publishes a processed track',
    'initDiagnostics': 'the checks of the other service talk to its cloud; amphi doctor checks a server',
  },
};

/** Parts of rows that are left out for both. The cases find out themselves whether the server can do them, and show them if so. */
export const parts = {
  vod: 'but for on-record-update: the server does not record live streams',
  recording: 'failure states only: the server does not record the room or push it',
  migration: 'the migration itself: in TestFaults, when the server is started again',
};
