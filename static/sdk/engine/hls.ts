// hls.js as a chunk of its own: only who plays HLS loads it.
export { default as Hls } from 'hls.js';
