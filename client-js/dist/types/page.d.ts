/**
 * Watches what happens to the page around the client. A runtime that has no such events is not watched.
 *
 * @param wake Called when the network or the page is back.
 * @param suspend Called when nothing will get through any more: the page freezes, or waits in the back-forward cache, which
 * closes its sockets in some browsers and is closed to pages with sockets in others; or the machine is offline.
 * @returns what ends it.
 */
export declare function watchPage(wake: () => void, suspend: () => void): () => void;
