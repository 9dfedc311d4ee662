// Web components: a room and a player in two lines of HTML.
//
//   <script type="module" src="https://live.example.org/sdk/elements.js"></script>
//   <amphi-room code="abc-defg-hij"></amphi-room>

export { AmphiPlayerElement } from './player-element.js';
export { AmphiRoomElement } from './room-element.js';
