// Makes pages of the documentation's examples, as an application's build would: those that import the package amphi
// are bundled with it (from ../bin/sdk), the others are pages already.
// Usage: node examples.mjs EXAMPLES OUTDIR ORIGIN CODE STREAM
//
//   ORIGIN, CODE and STREAM stand in for https://live.example.org, abc-defg-hij and the address of its stream.
import { cp, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { compileScript, parse } from 'vue/compiler-sfc';

const here = path.dirname(fileURLToPath(import.meta.url));
const [examples, out, origin, code, stream] = process.argv.slice(2);
const substitute = (text) => text
  .replaceAll('https://live.example.org/beam/CUSTOMER/ROOM/master.m3u8', stream)
  .replaceAll('https://live.example.org', origin)
  .replaceAll('abc-defg-hij', code);

// The package as npm would install it.
const work = path.join(out, 'work');
await rm(out, { recursive: true, force: true });
await mkdir(path.join(work, 'node_modules'), { recursive: true });
await cp(path.join(here, '../../bin/sdk'), path.join(work, 'node_modules/amphi'), { recursive: true });
for (const name of await readdir(path.join(here, '../node_modules'))) {
  if (!name.startsWith('.')) await symlink(path.join(here, '../node_modules', name), path.join(work, 'node_modules', name)).catch(() => {});
}

const vue = {
  name: 'vue',
  setup: ({ onLoad }) => onLoad({ filter: /\.vue$/ }, async ({ path: file }) => {
    const { descriptor } = parse(await readFile(file, 'utf8'), { filename: file });
    return { contents: compileScript(descriptor, { id: 'example', inlineTemplate: true }).content, loader: 'js' };
  }),
};

for (const file of await readdir(examples)) {
  const { name, ext } = path.parse(file);
  const text = substitute(await readFile(path.join(examples, file), 'utf8'));
  if (ext === '.html') {
    await writeFile(path.join(out, name + '.html'), /<html/.test(text) ? text : page(text));
    continue;
  }
  const source = path.join(work, file);
  await writeFile(source, text);
  let entry = source;
  if (ext === '.vue') {
    entry = path.join(work, name + '-main.js');
    await writeFile(entry, `import { createApp } from 'vue';\nimport App from './${file}';\ncreateApp(App).mount('#app');\n`);
  }
  await esbuild.build({
    entryPoints: { [name]: entry }, outdir: out, bundle: true, splitting: true, format: 'esm', target: 'es2022', jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"', __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
    plugins: [vue], logLevel: 'warning',
  });
  await writeFile(path.join(out, name + '.html'),
    page(`<div id="app"></div>${name.includes('class') ? '<video muted playsinline></video>' : ''}<script type="module" src="/${name}.js"></script>`));
}
// esbuild leaves addresses of import.meta.url as they are: the WASM client goes beside the bundles.
for (const name of await readdir(path.join(work, 'node_modules/amphi'))) {
  if (/^(client|wasm_exec)-/.test(name)) await cp(path.join(work, 'node_modules/amphi', name), path.join(out, name));
}
await writeFile(path.join(out, 'example.css'), 'figure { margin: 0; } video { width: 320px; height: 180px; background: #222; }');
await rm(work, { recursive: true });

function page(body) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Example</title><link rel="stylesheet" href="/example.css"></head><body>${body}</body></html>`;
}
