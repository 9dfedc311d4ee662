// Builds what the test serves: the suite, which imports the SDK and the player under their names, and the unmodified
// npm packages as modules, to which an import map leads those names. Usage: node build.mjs OUTDIR
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const sdks = ['@100mslive/hms-video-store', '@100mslive/hls-player'];
const options = {
  bundle: true, format: 'esm', target: 'es2022', define: { 'process.env': '{"NODE_ENV":"production"}' }, logLevel: 'warning',
  absWorkingDir: here,
};
await Promise.all([
  esbuild.build({ ...options, entryPoints: { suite: 'suite.js' }, outdir: process.argv[2], splitting: true, external: sdks }),
  ...sdks.map((name) => esbuild.build({
    ...options, outfile: path.join(process.argv[2], `${path.basename(name)}.js`),
    stdin: { contents: `export * from '${name}'`, resolveDir: here },
  })),
]);
