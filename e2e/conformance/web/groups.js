import { doors } from './cases/doors.js';
import { talk } from './cases/talk.js';
import { shared } from './cases/shared.js';
import { media } from './cases/media.js';
import { moderation, roles } from './cases/roles.js';
import { live } from './cases/live.js';
import { cuts } from './cases/cuts.js';

export { browsers } from './cases/browsers.js';
export { faults } from './cases/faults.js';

// What the hooks import from an SDK is resolved when they are loaded: an export that is missing fails their group alone.
const { react } = await import('./cases/react.js').catch((error) => ({
  react: { name: 'react', cases: [['react-sdk: previews and joins, toggles, lists, shows videos, sends events', () => Promise.reject(error)]] },
}));

export const groups = [doors, talk, shared, media, roles, moderation, live, react, cuts];
