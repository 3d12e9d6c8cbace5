import { createTimer } from '../environment.js';
import { asError, unreachable } from '../errors.js';
import { asEvent, errorOf, type ErrorEvent, type ServerEvent } from '../protocol.js';
import { createDeadline, type OpenLink } from './link.js';

/** `WebSocket.OPEN`, which a class that was passed in may not bear. */
const OPEN = 1;

/** In place of the `ref` of a `subscribe`, once that was answered. */
const ANSWERED = '';

/** The `ref` of what brings a token. */
const AUTH = 'auth';

/** WebSocket: commands in, one event a frame out, channels added and removed on the living connection. */
export const openSocket: OpenLink = (env, sink, patience) => {
  const { clock, _tokens: tokens } = env;
  /** The `ref` of the newest `subscribe` of each channel that was asked for, until it is answered. */
  const asked = new Map<string, string>();
  const expect = createDeadline(env, sink);
  /** Milliseconds; 0 before the welcome. */
  let heartbeat = 0;
  let socket: WebSocket | undefined;
  let refs = 0;
  let pinged = 0;
  const timer = createTimer(env);

  const send = (text: string): void => {
    if (socket?.readyState === OPEN) socket.send(text);
  };
  const write = (command: object): void => send(JSON.stringify(command));

  /** Asks for a sign of life after every heartbeat, which gives the server one as well. */
  const ping = (): void => {
    pinged = clock.now();
    write({ type: 'ping' });
    timer(heartbeat || patience, ping);
  };

  const renew = (): void => {
    expect(patience);
    // After the welcome, a `hello` brings the next token.
    if (tokens._token) write({ type: 'hello', token: tokens._token, ref: AUTH });
    ping();
    update();
  };

  const update = (): void => {
    if (!socket) {
      expect(patience);
      try {
        // Where there is none, this throws, and the next transport has its turn.
        socket = new env.WebSocket!(env._url(`ws?client=${env.client}`).replace(/^http/, 'ws'), ['tricast.v1']);
        socket.onopen = renew;
        socket.onmessage = ({ data }) => receive(data);
        socket.onclose = ({ code }) => sink._ended(unreachable(`closed ${code}`));
        // It tells nothing that `onclose` does not, but in Node an error that nobody listens to ends the process.
        socket.onerror = () => {};
      } catch (thrown) {
        sink._ended(asError(thrown));
      }
      return;
    }
    const channels = sink._wants().filter(({ name }) => !asked.has(name));
    if (!channels[0] || socket.readyState !== OPEN) return;
    const ref = `s${++refs}`;
    for (const { name } of channels) asked.set(name, ref);
    write({ type: 'subscribe', channels, ref });
  };

  const receive = (data: string): void => {
    // Alone it proves nothing: until the welcome, the first deadline stands.
    if (heartbeat) expect(2 * heartbeat);
    try {
      take(asEvent(JSON.parse(data)));
    } catch (thrown) {
      sink._ended(asError(thrown));
    }
  };

  const take = (event: ServerEvent): void => {
    const { ref, channel } = event as ErrorEvent;
    const state = asked.get(channel!);
    // What was under way when the channel left, or was asked for anew.
    if (channel && ref === undefined && state !== ANSWERED) return;
    switch (event.type) {
      case 'ping':
        return write({ type: 'pong' });
      case 'pong':
        return sink._proven(clock.now() - pinged);
      case 'welcome':
        if (ref === AUTH) tokens._accepted(event.expires_in);
        // The first deadline stands until the answer to the ping.
        heartbeat = 1000 * event.heartbeat;
        break;
      case 'error':
        if (ref === AUTH) return sink._ended(errorOf(event));
        // The `ref` of a command of the outbox is a number.
        if (typeof ref === 'string') {
          // One that names no channel speaks of all that its command asked for.
          const refused = [...asked.keys()].filter((name) => ref === asked.get(name) && (channel ?? name) === name);
          for (const name of refused) asked.delete(name);
          sink._refused(errorOf(event), refused.pop()!);
          return update();
        }
        break;
      case 'subscribed':
        // Not the answer to a subscription that was ended and asked for again since.
        if (ref !== state) return;
        asked.set(event.channel, ANSWERED);
        break;
      case 'unsubscribed':
        // With a `ref` it was asked for.
        if (ref) return;
        asked.delete(event.channel);
    }
    sink._event(event);
  };

  return {
    _update: update,
    _forget(channel) {
      if (asked.delete(channel)) write({ type: 'unsubscribe', channel, ref: 'u' });
    },
    _renew: renew,
    _send: send,
    _close() {
      expect();
      timer();
      // `onerror` stays: a socket that is closed while it connects reports that as an error.
      if (socket) {
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
      }
    },
  };
};
