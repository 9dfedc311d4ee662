// Bundles page.js with the unmodified npm package @100mslive/hms-video-store into one classic script.
// Usage: node bundle.mjs OUTFILE
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

await esbuild.build({
  entryPoints: [path.join(path.dirname(fileURLToPath(import.meta.url)), 'page.js')],
  outfile: process.argv[2],
  bundle: true,
  format: 'iife',
  target: 'es2022',
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'warning',
});
