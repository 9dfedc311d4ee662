// The three levels of interactivity, as roles tell them.
import type { HMSRole } from './sdk.js';

export type Level = 'stage' | 'floor' | 'gallery';

export const levels: readonly Level[] = ['stage', 'floor', 'gallery'];
export const levelName: Record<Level, string> = { stage: 'Stage', floor: 'Floor', gallery: 'Gallery' };

export function levelOf(role: HMSRole | null | undefined): Level {
  if (role?.publishParams.allowed.length) return 'stage';
  return role?.subscribeParams.subscribeToRoles?.length ? 'floor' : 'gallery';
}

/** Roles of a level other than present; who is brought there gets the least powerful first. */
export function rolesAt(level: Level, roles: Record<string, HMSRole>, present?: string): HMSRole[] {
  return Object.values(roles)
    .filter((role) => levelOf(role) === level && role.name !== present)
    .sort((a, b) => b.priority - a.priority || a.name.localeCompare(b.name));
}
