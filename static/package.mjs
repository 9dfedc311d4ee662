// Makes the npm package `amphi` of what build.mjs built: bin/sdk/, ready for npm pack or npm publish.
// Usage: node package.mjs [VERSION]

import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, '../bin/sdk');
const version = process.argv[2] ?? '0.1.0';
const own = JSON.parse(await readFile(path.join(here, 'package.json'), 'utf8'));
const tsc = path.join(here, 'node_modules/.bin/tsc');

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
// Compressed twins are for servers that can; a bundler or a CDN makes its own.
await cp(path.join(here, 'dist/sdk'), out, { recursive: true, filter: (file) => !/\.(br|gz|fast|json)$/.test(file) });
await cp(path.join(here, 'sdk/README.md'), path.join(out, 'README.md'));
await cp(path.join(here, '../LICENSE'), path.join(out, 'LICENSE'));
execFileSync(tsc, ['-p', 'tsconfig.package.json', '--outDir', path.join(out, 'types')], { cwd: here, stdio: 'inherit' });

const entry = (name, types = name) => ({ types: `./types/${types}.d.ts`, default: `./${name}.js` });
await writeFile(path.join(out, 'package.json'), JSON.stringify({
  name: 'amphi',
  version,
  description: 'Client for live video with a stage, a floor and a gallery: WebRTC and low-latency HLS',
  license: own.license,
  type: 'module',
  exports: {
    '.': entry('amphi', 'index'),
    './hls': entry('hls'),
    './elements': entry('elements'),
    './package.json': './package.json',
  },
  types: './types/index.d.ts',
  sideEffects: ['./elements.js', './elements-*.js'],
  dependencies: { 'hls.js': own.dependencies['hls.js'] }, // its types; the code is in hls.js here
}, null, 2) + '\n');

const [{ filename, size, entryCount }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--silent'], { cwd: out, encoding: 'utf8' }));
console.log(`bin/sdk: ${filename}, ${(size / 1024).toFixed(0)} KiB packed, ${entryCount} files`);
