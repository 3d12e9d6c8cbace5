import type { OpenLink } from './link.js';
/** Long-polling: one request a batch. What was handled is in the next request's positions, so nothing is lost. */
export declare const openPoll: OpenLink;
