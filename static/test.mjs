// Runs the unit tests of pages and facade (app/test/, sdk/test/) with node's own runner. Usage: node test.mjs
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const tests = [];
for (const dir of ['app/test', 'sdk/test']) {
  for (const name of await readdir(path.join(here, dir))) tests.push(path.join(here, dir, name));
}
const out = await mkdtemp(path.join(tmpdir(), 'amphi-static-'));
try {
  await esbuild.build({
    entryPoints: tests, bundle: true, format: 'esm', platform: 'node', target: 'node20', outdir: out,
    entryNames: '[dir]-[name]', logLevel: 'warning',
    outExtension: { '.js': '.mjs' },
  });
  const built = (await readdir(out)).map((name) => path.join(out, name));
  process.exitCode = spawnSync(process.execPath, ['--test', ...built], { stdio: 'inherit' }).status ?? 1;
} finally {
  await rm(out, { recursive: true });
}
