import Hls, { AmphiEvents } from 'amphi/hls';

const video = document.querySelector('video');
const hls = new Hls(); // takes the options of hls.js
hls.on(Hls.Events.MANIFEST_PARSED, () => { video.play(); });
hls.on(Hls.Events.ERROR, (_, { fatal, details }) => { if (fatal) console.error(details); });
hls.on(AmphiEvents.LIVE, (_, { latency }) => { document.title = `${latency.toFixed(1)} s behind`; });
hls.on(AmphiEvents.TIMED_METADATA, (_, { payload }) => { console.log('the host says', payload); });
hls.loadSource('https://live.example.org/beam/CUSTOMER/ROOM/master.m3u8');
hls.attachMedia(video);
