const EVENTS = 'online offline freeze resume pagehide pageshow visibilitychange'.split(' ');

/**
 * Watches what happens to the page around the client. A runtime that has no such events is not watched.
 *
 * @param wake Called when the network or the page is back.
 * @param suspend Called when nothing will get through any more: the page freezes, or waits in the back-forward cache, which
 * closes its sockets in some browsers and is closed to pages with sockets in others; or the machine is offline.
 * @returns what ends it.
 */
export function watchPage(wake: () => void, suspend: () => void): () => void {
  const listener = ({ type }: Event): void => {
    if (/^(off|fr|pageh)/.test(type)) suspend();
    else wake();
  };
  const each = (method: 'addEventListener' | 'removeEventListener'): void => {
    for (const name of EVENTS) globalThis[method]?.(name, listener);
    // Another network, where a browser tells: what did not get through before may now.
    (globalThis.navigator as { connection?: EventTarget } | undefined)?.connection?.[method]('change', listener);
  };
  each('addEventListener');
  return () => each('removeEventListener');
}
