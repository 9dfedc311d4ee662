const ofThisMachine = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Where to load the stream from. A server that was not told its public address calls itself localhost; who came to
 * it by another name reaches the stream by that name too.
 */
export function streamURL(url: string, page: string): string {
  const stream = new URL(url, page);
  if (!ofThisMachine.test(stream.hostname)) return stream.href;
  return new URL(stream.pathname + stream.search, page).href;
}
