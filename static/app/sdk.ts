// The page's one client. Everything here speaks to the server through these.
import { HMSReactiveStore } from '../sdk/index.js';

export * from '../sdk/index.js';

const hms = new HMSReactiveStore();
export const store = hms.getStore();
export const actions = hms.getActions();
export const notifications = hms.getNotifications();
