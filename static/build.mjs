// Builds everything the browser loads into static/dist/:
//
//   sdk/client-<hash>.wasm     the Go client (wasm/), precompressed
//   sdk/wasm_exec-<hash>.js    Go's loader, from the same GOROOT that compiled the client
//   sdk/amphi-<hash>.js        the SDK facade (static/sdk/), sdk/hls-… the player, sdk/elements-… the web components,
//                              sdk/chunk-… what they share: one page has one Go program, whatever of it is loaded
//   sdk/amphi.js, hls.js, …    stable addresses of these, for pages elsewhere
//   sdk/manifest.json          the same as manifest.json, of what is in sdk/
//   app-<hash>.js, .css        the meeting pages (static/app/app.ts), the style of all pages (static/css/app.css)
//   site-<hash>.js             the start page, the documentation and error pages (static/app/site.ts)
//   debug-<hash>.js            the page with the media of a room (static/app/debug.ts)
//   fonts/<name>-<hash>.woff2  the typefaces
//   icons/<name>-<hash>.<ext>  static/icons/, as they are
//   docs.json                  what the documentation page shows of the SDK (docs.mjs)
//   manifest.json              logical name → {path, integrity, size, brotli, imports, whole (with what it imports)}
//
// Names carry a hash of the content, so that they can be cached forever; the server finds them through
// the manifest. Usage: node build.mjs [--fast] [--no-wasm]
//
//   --fast      brotli quality 5 instead of 11: seconds instead of a quarter of a minute
//   --no-wasm   keep the client that is already there (for work on pages and facade only)

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import * as esbuild from 'esbuild';
import subsetFont from 'subset-font';
import { docs } from './docs.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, 'dist');
const args = new Set(process.argv.slice(2));
const fast = args.has('--fast');

const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

const manifest = {};
const kept = new Set(['.gitkeep', 'manifest.json', 'docs.json']);

const hashOf = (data) => createHash('sha256').update(data).digest('hex').slice(0, 10);
const integrityOf = (data) => 'sha384-' + createHash('sha384').update(data).digest('base64');
const kib = (n) => (n / 1024).toFixed(1) + ' KiB';

/** Writes through a temporary name, so that an interrupted build leaves no half file under a final name. */
async function write(file, data) {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file + '.tmp', data);
  await rename(file + '.tmp', file);
}

/** Puts data at dist/rel, compressed too when text or WASM, and names it in the manifest. */
async function emit(name, rel, data) {
  data = Buffer.from(data);
  const file = path.join(dist, rel);
  const entry = { path: rel, integrity: integrityOf(data), size: data.length };
  kept.add(rel);
  await write(file, data);
  if (/\.(wasm|js|css|svg|json|map)$/.test(rel)) {
    entry.brotli = await compressed(file + '.br', () => brotli(data, {
      params: {
        [zlib.constants.BROTLI_PARAM_QUALITY]: fast ? 5 : 11,
        [zlib.constants.BROTLI_PARAM_LGWIN]: 24,
        [zlib.constants.BROTLI_PARAM_SIZE_HINT]: data.length,
      },
    }));
    entry.gzip = await compressed(file + '.gz', () => gzip(data, { level: 9 }));
    kept.add(rel + '.br').add(rel + '.gz');
    if (fast) kept.add(rel + '.br.fast');
  }
  if (name) manifest[name] = entry;
  console.log(`${rel}  ${kib(data.length)}${entry.brotli ? `, ${kib(entry.brotli)} br` : ''}`);
  return entry;
}

/** The compressed twin of a hashed file never changes, so one made before is good (a --fast one too, until rebuilt whole). */
async function compressed(file, make) {
  const marker = file + '.fast'; // beside a .br of --fast
  if (/-([0-9a-f]{10}|[0-9A-Z]{8})\./.test(file) && existsSync(file) && (fast || !existsSync(marker))) {
    return (await stat(file)).size;
  }
  const data = await make();
  await write(file, data);
  if (fast && file.endsWith('.br')) await write(marker, '');
  else await rm(marker, { force: true });
  return data.length;
}

async function emitHashed(name, dir, base, ext, data) {
  const rel = path.posix.join(dir, `${base}-${hashOf(data)}${ext}`);
  await emit(name, rel, data);
  return rel;
}

/** The scripts, by logical name. What several of them need is in chunks of its own. */
async function buildScripts(entries, define) {
  const { outputFiles, metafile } = await esbuild.build({
    entryPoints: Object.fromEntries(Object.entries(entries).map(([out, source]) => [out, path.join(here, source)])),
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    charset: 'utf8',
    write: false,
    metafile: true,
    outdir: dist,
    entryNames: '[dir]/[name]-[hash]',
    chunkNames: 'sdk/[name]-[hash]',
    logLevel: 'warning',
    absWorkingDir: here,
    define,
  });
  const names = {};
  const sizes = {};
  for (const [file, { entryPoint, imports }] of Object.entries(metafile.outputs)) {
    const rel = path.relative('dist', file).replaceAll(path.sep, '/');
    const out = Object.keys(entries).find((name) => entries[name] === entryPoint);
    const logical = out ? path.posix.basename(out) + '.js' : null;
    const { contents } = outputFiles.find((one) => one.path === path.join(here, file));
    sizes[file] = (await emit(logical, rel, contents)).brotli;
    if (logical) names[logical] = rel;
  }
  // What a page that loads a script has to wait for.
  const needs = (file) => metafile.outputs[file].imports.filter(({ kind }) => kind === 'import-statement')
    .reduce((all, { path: other }) => new Set([...all, ...needs(other)]), new Set([file]));
  for (const [logical, rel] of Object.entries(names)) {
    const [, ...imports] = needs(path.join('dist', rel));
    manifest[logical].imports = imports.map((file) => path.relative('dist', file).replaceAll(path.sep, '/'));
    manifest[logical].whole = [path.join('dist', rel), ...imports].reduce((sum, file) => sum + sizes[file], 0);
  }
  return names;
}

/** The style sheets (of the site and the meeting, of the dashboard) and the typefaces that they name. */
async function buildStyles() {
  const { outputFiles } = await esbuild.build({
    entryPoints: { app: path.join(here, 'css/app.css'), dashboard: path.join(here, 'css/dashboard.css') },
    bundle: true,
    minify: true,
    target: ['chrome123', 'firefox121', 'safari17.5'], // light-dark(), popover
    write: false,
    outdir: dist,
    logLevel: 'warning',
    loader: { '.woff2': 'file' },
    plugins: [{ name: 'one weight', setup: (build) => build.onLoad({ filter: /bricolage-.*\.woff2$/ }, oneWeight) }],
    assetNames: 'fonts/[name]-[hash]',
  });
  for (const file of outputFiles) {
    const rel = path.relative(dist, file.path).replaceAll(path.sep, '/');
    if (rel.endsWith('.css')) await emitHashed(rel, '', path.basename(rel, '.css'), '.css', file.contents);
    else await emit(null, rel, file.contents);
  }
}

/** The display face is drawn in one weight, for which it need not carry all of them: a third of the size. */
async function oneWeight({ path: file }) {
  const characters = Array.from({ length: 0x100 - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).join('') + 'ıŒœ–—‘’‚“”„†•…‹›€™';
  return { contents: await subsetFont(await readFile(file), characters, { targetFormat: 'woff2', variationAxes: { wght: 650 } }), loader: 'file' };
}

async function buildWasm() {
  const out = path.join(dist, 'client.wasm.new');
  if (args.has('--no-wasm')) {
    const old = await readFile(path.join(dist, 'manifest.json'), 'utf8').then(JSON.parse, () => ({}));
    const entry = old['client.wasm'];
    if (entry && existsSync(path.join(dist, entry.path))) {
      return emitHashed('client.wasm', 'sdk', 'client', '.wasm', await readFile(path.join(dist, entry.path)));
    }
    console.log('no client.wasm here yet: the facade will say that it is missing');
    return 'sdk/client-missing.wasm';
  }
  // -l: code that is inlined is code that is downloaded again wherever it is used. Without inlining the client is a
  // tenth smaller over the wire, and waits for the network as before. But not in the runtime, which allocates, schedules and
  // collects: there it costs 3 % of the size and saves a sixth of the processor time until the client is ready.
  const inline = ['-gcflags', 'all=-l', '-gcflags', 'runtime=', '-gcflags', 'internal/runtime/maps='];
  execFileSync('go', ['build', '-trimpath', '-ldflags', '-s -w', ...inline, '-o', out, './wasm'], {
    cwd: path.dirname(here),
    env: { ...process.env, GOOS: 'js', GOARCH: 'wasm', CGO_ENABLED: '0' },
    stdio: 'inherit',
  });
  const data = await readFile(out);
  await rm(out);
  return emitHashed('client.wasm', 'sdk', 'client', '.wasm', data);
}

await mkdir(path.join(dist, 'sdk'), { recursive: true });

const goroot = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
const wasm = await buildWasm();
const exec = await emitHashed('wasm_exec.js', 'sdk', 'wasm_exec', '.js',
  (await esbuild.transform(await readFile(path.join(goroot, 'lib/wasm/wasm_exec.js'), 'utf8'), { minify: true })).code);
const scripts = await buildScripts({
  'sdk/amphi': 'sdk/index.ts', 'sdk/hls': 'sdk/hls.ts', 'sdk/elements': 'sdk/elements.ts', app: 'app/app.ts', site: 'app/site.ts', debug: 'app/debug.ts', dashboard: 'app/dashboard.ts',
}, {
  // The facade finds these beside itself (import.meta.url): so it works from any origin and under any prefix.
  __AMPHI_WASM__: JSON.stringify('./' + path.posix.basename(wasm)),
  __AMPHI_EXEC__: JSON.stringify('./' + path.posix.basename(exec)),
});
for (const name of ['amphi.js', 'hls.js', 'elements.js']) {
  const hashed = path.posix.basename(scripts[name]);
  const rest = name === 'hls.js' ? `export { default } from './${hashed}';\n` : '';
  await emit(null, `sdk/${name}`, `export * from './${hashed}';\n${rest}`);
}
await buildStyles();
const icons = path.join(here, 'icons');
if (existsSync(icons)) {
  for (const file of (await readdir(icons)).sort()) {
    const { name, ext } = path.parse(file);
    await emitHashed(`icons/${file}`, 'icons', name, ext, await readFile(path.join(icons, file)));
  }
}

const ofSDK = Object.entries(manifest).filter(([, { path: rel }]) => rel.startsWith('sdk/'));
await emit(null, 'sdk/manifest.json', JSON.stringify(Object.fromEntries(ofSDK), null, 2) + '\n');
await write(path.join(dist, 'docs.json'), JSON.stringify(await docs()));
await write(path.join(dist, 'manifest.json'), JSON.stringify(manifest, null, 2) + '\n');
await sweep(dist, '');

/** Removes what earlier builds left. */
async function sweep(dir, prefix) {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const rel = path.posix.join(prefix, entry.name);
    if (entry.isDirectory()) await sweep(path.join(dir, entry.name), rel);
    else if (!kept.has(rel)) await rm(path.join(dir, entry.name));
  }
}
