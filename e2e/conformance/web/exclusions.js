// Rows that a client cannot show, each with its reason. With '100ms' stands the unmodified SDK, with 'amphi' ours.
export const exclusions = {
  '100ms': {
    'interactivityCenter.whiteboard.open': 'the server has no whiteboard',
    'interactivityCenter.whiteboard.close': 'the server has no whiteboard',
  },
  'amphi': {},
};
