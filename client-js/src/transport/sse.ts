import { unreachable } from '../errors.js';
import { asEvent } from '../protocol.js';
import { createSseParser } from '../sse-parser.js';
import { heartbeatOf, type OpenLink } from './link.js';
import { openRequests } from './request.js';

/**
 * Server-sent events, read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and
 * tell why it failed.
 */
export const openSse: OpenLink = (env, sink, patience) =>
  openRequests(env, sink, patience, async (ask, signal, expect) => {
    const { clock } = env;
    const since = clock.now();
    let heartbeat = 0;
    const { body } = await ask('sse');
    const reader = body?.getReader();
    const decoder = new TextDecoder();
    const parse = createSseParser();
    for (;;) {
      const chunk = await reader?.read();
      if (signal.aborted) return;
      if (!chunk?.value) throw unreachable('ended');
      for (const data of parse(decoder.decode(chunk.value, { stream: true }))) {
        const event = asEvent(JSON.parse(data));
        sink._event(event);
        if (event.type === 'welcome') {
          heartbeat = heartbeatOf(event);
          env._tokens._accepted(event.expires_in);
          sink._proven(clock.now() - since);
        }
        if (signal.aborted) return;
      }
      if (heartbeat) expect(2 * heartbeat);
    }
  });
