// What reading the state costs in a room of 200 peers. Usage: node bench.mjs
// Prints figures, one a line: name value unit.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = await mkdtemp(path.join(tmpdir(), 'amphi-bench-'));
try {
  await esbuild.build({
    stdin: { contents: "export * from './sdk/store.ts'; export * from './sdk/selectors.ts';", resolveDir: here },
    bundle: true, format: 'esm', platform: 'node', target: 'node20', outfile: path.join(out, 'store.mjs'), logLevel: 'warning',
  });
  const sdk = await import(pathToFileURL(path.join(out, 'store.mjs')));
  const store = new sdk.Store();
  const ids = Array.from({ length: 200 }, (_, i) => `peer-${i}`);
  const peer = (id) => ({
    id, name: `Name of ${id}`, roleName: 'host', isLocal: id === ids[0], isHandRaised: false, type: 'regular',
    videoTrack: `v-${id}`, audioTrack: `a-${id}`, auxiliaryTracks: [], metadata: '{}',
  });
  const track = (id, type) => [`${type[0]}-${id}`, { id: `${type[0]}-${id}`, type, source: 'regular', enabled: true, peerId: id }];
  store.apply({
    v: 1, set: { room: { ...store.getState().room, peers: ids, localPeer: ids[0], isConnected: true } },
    merge: {
      peers: Object.fromEntries(ids.map((id) => [id, peer(id)])),
      tracks: Object.fromEntries(ids.flatMap((id) => [track(id, 'audio'), track(id, 'video')])),
    },
  });
  let n = 0;
  const change = () => store.apply({ v: ++n, merge: { peers: { [ids[7]]: { ...peer(ids[7]), name: `New ${n}` } } } });
  const measure = (what, work, before = () => {}) => {
    const times = [];
    for (let i = 0; i < 2000; i++) {
      before();
      const start = performance.now();
      work();
      times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    console.log(`${what} ${times[1000].toFixed(5)} ms`);
  };
  measure('sdk.getState.200', () => store.getState());
  measure('sdk.getState.peers.200', () => store.getState(sdk.selectPeers));
  measure('sdk.getState.peers.200.changed', () => store.getState(sdk.selectPeers), change);
  measure('sdk.getState.screens.200.changed', () => store.getState(sdk.selectPeersScreenSharing), change);
  measure('sdk.apply.200', change);
} finally {
  await rm(out, { recursive: true });
}
