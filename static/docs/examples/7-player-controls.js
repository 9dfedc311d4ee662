import 'media-chrome';
import Hls from 'amphi/hls';

// <media-controller>: https://www.media-chrome.org
document.body.insertAdjacentHTML('beforeend', `
  <media-controller defaultstreamtype="live">
    <video slot="media" muted playsinline></video>
    <media-control-bar>
      <media-play-button></media-play-button>
      <media-live-button></media-live-button>
      <media-mute-button></media-mute-button>
      <media-fullscreen-button></media-fullscreen-button>
    </media-control-bar>
  </media-controller>`);

const video = document.querySelector('media-controller video');
const hls = new Hls();
hls.loadSource('https://live.example.org/beam/CUSTOMER/ROOM/master.m3u8');
hls.attachMedia(video);
hls.on(Hls.Events.MANIFEST_PARSED, () => { video.play(); });
