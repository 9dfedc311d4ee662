// What the documentation page shows of the SDK, read from its types and examples: dist/docs.json (build.mjs writes it,
// templates/sdk.templ draws it).

import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Where an action belongs; each has to be in one. */
const actionGroups = {
  Room: 'getAuthTokenByRoomCode preview cancelMidCallPreview join leave endRoom submitSessionFeedback getDebugInfo hasActiveElements',
  'Own media': 'setLocalAudioEnabled setLocalVideoEnabled setEnabledTrack setScreenShareEnabled addTrack removeTrack setAudioSettings '
    + 'setVideoSettings switchCamera refreshDevices setAudioOutputDevice autoSelectAudioOutput',
  'Media of others': 'attachVideo detachVideo setVolume setPreferredLayer unblockAudio getNativeTrackById getTrackById',
  Messages: 'sendMessage sendBroadcastMessage sendGroupMessage sendDirectMessage setMessageRead ignoreMessageTypes',
  'People and roles': 'changeRoleOfPeer changeRoleOfPeersWithRoles changeRole acceptChangeRole rejectChangeRole removePeer '
    + 'setRemoteTrackEnabled setRemoteTracksEnabled changeName changeMetadata raiseLocalPeerHand lowerLocalPeerHand '
    + 'raiseRemotePeerHand lowerRemotePeerHand getPeer getPeerListIterator findPeerByName',
  'Live stream': 'startHLSStreaming stopHLSStreaming sendHLSTimedMetadata startRTMPOrRecording stopRTMPAndRecording '
    + 'startTranscription stopTranscription updateTranscriptionConfig',
  'Shared and own values': 'sessionStore setSessionMetadata populateSessionMetadata initAppData setAppData',
  'Polls and whiteboard': 'interactivityCenter',
  Settings: 'setLogLevel setFrameworkInfo enableBeamSpeakerLabelsLogging',
};

const exampleTitles = {
  '1-html.html': 'Plain HTML', '2-react.jsx': 'React', '3-vue.vue': 'Vue', '4-room-element.html': 'Room', '5-player-element.html': 'Player',
  '6-player-class.js': 'Player class', '7-player-controls.js': 'Controls',
};

export async function docs() {
  const types = await mkdtemp(path.join(tmpdir(), 'amphi-docs-'));
  try {
    execFileSync(path.join(here, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.package.json', '--outDir', types], { cwd: here, stdio: 'inherit' });
    const declared = async (name) => readFile(path.join(types, name + '.d.ts'), 'utf8');
    return {
      examples: await examples(),
      actions: grouped(members(await declared('actions'), 'HMSActions'), actionGroups),
      selectors: merged([...await selectors('selectors', declared), ...await selectors('selectors-more', declared)]),
      notifications: notifications(await declared('notification-types')),
      exclusions: exclusions(JSON.parse(await readFile(path.join(here, 'sdk/exclusions.json'), 'utf8'))),
    };
  } finally {
    await rm(types, { recursive: true });
  }
}

async function examples() {
  const dir = path.join(here, 'docs/examples');
  const list = [];
  for (const file of (await readdir(dir)).sort()) {
    if (!exampleTitles[file]) throw new Error(`docs.mjs: the example ${file} has no title`);
    list.push({ file: file.replace(/^\d-/, ''), title: exampleTitles[file], code: tokens(await readFile(path.join(dir, file), 'utf8')) });
  }
  return list;
}

const comment = (text) => text.replace(/^\s*\/\*\*\s*|\s*\*\/\s*$/g, '').replace(/\s*\n\s*\*\s?/g, ' ').replace(/^@deprecated /, 'Deprecated: ').trim();
const tidy = (text) => text.replace(/import\("[^"]*"\)\.?/g, '').replace(/\s+/g, ' ').replace(/;$/, '').trim();

/** Public members of a class, in the form in which the compiler declares them. */
function members(text, name) {
  const start = text.indexOf(`class ${name}`);
  const body = text.slice(text.indexOf('{', start) + 1, text.indexOf('\n}\n', start));
  const list = [];
  for (const [, doc, member, rest] of body.matchAll(/\n {4}((?:\/\*\*[\s\S]*?\*\/\n {4})?)(?:readonly )?(\w+)(?=[(:<])([\s\S]*?;)(?=\n {4}\S|\s*$)/g)) {
    if (member === 'constructor' || member === 'private') continue;
    list.push(...flat(member, tidy(rest), comment(doc)));
  }
  return list;
}

/** An object of functions is shown as its functions. */
function flat(name, signature, text) {
  const object = /^: \{ (.*) \}$/.exec(signature);
  if (!object) return [{ name, signature, text }];
  const parts = [''];
  let depth = 0;
  for (const char of object[1]) {
    depth += '({<'.includes(char) ? 1 : ')}'.includes(char) ? -1 : 0;
    if (char === '>' && !parts.at(-1).endsWith('=')) depth--;
    if (char === ';' && depth === 0) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts.filter((part) => part.trim()).flatMap((part) => {
    const [, inner, rest] = /^\s*(?:readonly )?(\w+)([\s\S]*)$/.exec(part);
    return flat(`${name}.${inner}`, rest.trim().replace(/^: (\(.*\)) => /, '$1: '), '');
  });
}

function grouped(list, groups) {
  const left = new Map();
  for (const one of list) {
    const [first] = one.name.split('.');
    left.set(first, [...(left.get(first) ?? []), one]);
  }
  const result = Object.entries(groups).map(([name, names]) => ({
    name,
    entries: names.split(' ').flatMap((one) => {
      const entry = left.get(one);
      if (!entry) throw new Error(`docs.mjs: there is no ${one}`);
      left.delete(one);
      return entry;
    }),
  }));
  if (left.size) throw new Error(`docs.mjs: ${[...left.keys()]} in no group`);
  return result;
}

const merged = (groups) => [...new Set(groups.map(({ name }) => name))].map((name) => ({
  name, entries: groups.filter((group) => group.name === name).flatMap(({ entries }) => entries),
}));

/** Selectors by the headings of their source. */
async function selectors(file, declared) {
  const types = new Map();
  for (const [, doc, name, type] of (await declared(file)).matchAll(/((?:\/\*\*[\s\S]*?\*\/\s*)?)export declare (?:const|function) (select\w+)([\s\S]*?);\n(?=export|\/\*\*|declare|$)/g)) {
    if (!types.has(name)) types.set(name, { name, signature: selected(tidy(type)), text: comment(doc) });
  }
  const groups = [];
  for (const line of (await readFile(path.join(here, 'sdk', file + '.ts'), 'utf8')).split('\n')) {
    const heading = /^\/\/ ([A-Z][\w' ]+)$/.exec(line)?.[1];
    if (heading) groups.push({ name: heading, entries: [] });
    const name = /^export (?:const|function) (select\w+)/.exec(line)?.[1];
    if (name && types.has(name)) {
      groups.at(-1).entries.push(types.get(name));
      types.delete(name);
    }
  }
  if (types.size) throw new Error(`docs.mjs: ${[...types.keys()]} not found in ${file}.ts`);
  return groups.filter(({ entries }) => entries.length);
}

/** What a selector gives: "(id) → HMSPeer | null". */
const selected = (type) => type
  .replace(/^: /, '').replace(/^<.*?>(?=\()/, '')
  .replace(/\(store: HMSStore\) => /, '').replace(/StoreSelector<(.*)>/, '$1').replace(' => ', ' → ').replace(/^\((.*)\): /, '($1) → ');

/** Each notification, with the type of its data. */
function notifications(text) {
  const list = [];
  for (const [, names, data] of text.matchAll(/Notification<((?:[\s|]*HMSNotificationTypes\.\w+)+), ([^>]+)>/g)) {
    for (const [, name] of names.matchAll(/HMSNotificationTypes\.(\w+)/g)) list.push({ name, signature: tidy(data), text: '' });
  }
  return list;
}

function exclusions(parts) {
  const names = { actions: 'Actions', selectors: 'Selectors', exports: 'Other exports', store: 'HMSReactiveStore' };
  return Object.entries(parts).map(([part, entries]) => ({
    name: names[part], entries: Object.entries(entries).map(([name, text]) => ({ name, signature: '', text })),
  }));
}

/** Code as pieces with a kind: "c"omment, "s"tring, "k"eyword, "t"ag or none. */
function tokens(text) {
  const pattern = /(?<c><!--[\s\S]*?-->|\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/[^\n]*)|(?<s>'[^'\n]*'|"[^"\n]*"|`[^`]*`)|(?<k>\b(?:import|from|export|const|let|async|await|function|return|if|for|of|new|try|catch|default)\b)|(?<t><\/?[\w-]+|\/>|(?<!=)>)/g;
  const list = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) list.push({ text: text.slice(end, match.index) });
    const [kind] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    list.push({ kind, text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) list.push({ text: text.slice(end) });
  return list;
}
