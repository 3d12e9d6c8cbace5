import { type OpenLink } from './link.js';
/** WebSocket: commands in, one event a frame out, channels added and removed on the living connection. */
export declare const openSocket: OpenLink;
