// Runs the pages' unit tests (app/test/) with node's own runner. Usage: node test.mjs
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const tests = (await readdir(path.join(here, 'app/test'))).map((name) => path.join(here, 'app/test', name));
const out = await mkdtemp(path.join(tmpdir(), 'amphi-static-'));
try {
  await esbuild.build({
    entryPoints: tests, bundle: true, format: 'esm', platform: 'node', target: 'node20', outdir: out, logLevel: 'warning',
    outExtension: { '.js': '.mjs' },
  });
  const built = (await readdir(out)).map((name) => path.join(out, name));
  process.exitCode = spawnSync(process.execPath, ['--test', ...built], { stdio: 'inherit' }).status ?? 1;
} finally {
  await rm(out, { recursive: true });
}
