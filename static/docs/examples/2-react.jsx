import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { HMSReactiveStore, selectIsConnectedToRoom, selectPeers } from 'amphi';

const server = 'https://live.example.org';
const hms = new HMSReactiveStore();
const actions = hms.getActions();
const store = hms.getStore();

/** A part of the room's state; the component is drawn again when it changes. */
const useRoom = (selector) =>
  useSyncExternalStore((changed) => store.subscribe(changed, selector), () => store.getState(selector));

function Tile({ peer }) {
  const video = useRef(null);
  useEffect(() => {
    if (!peer.videoTrack) return undefined;
    const { current } = video;
    actions.attachVideo(peer.videoTrack, current);
    return () => { actions.detachVideo(peer.videoTrack, current); };
  }, [peer.videoTrack]);
  return <figure><video ref={video} /><figcaption>{peer.name}</figcaption></figure>;
}

function Room() {
  const connected = useRoom(selectIsConnectedToRoom);
  const peers = useRoom(selectPeers);
  const [problem, setProblem] = useState('');

  async function join(event) {
    event.preventDefault();
    const { code, name } = Object.fromEntries(new FormData(event.target));
    try {
      const authToken = await actions.getAuthTokenByRoomCode({ roomCode: code }, { endpoint: `${server}/v2/token` });
      await actions.join({ authToken, userName: name, initEndpoint: server });
    } catch (error) {
      setProblem(error.message);
    }
  }

  if (connected) return <main>{peers.map((peer) => <Tile key={peer.id} peer={peer} />)}</main>;
  return (
    <form onSubmit={join}>
      <input name="code" placeholder="Room code" required defaultValue="abc-defg-hij" />
      <input name="name" placeholder="Your name" required defaultValue="Ann" />
      <button>Join</button>
      <p role="alert">{problem}</p>
    </form>
  );
}

createRoot(document.getElementById('app')).render(<Room />);
