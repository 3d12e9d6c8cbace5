import { unreachable } from '../errors.js';
import { asEvent } from '../protocol.js';
import { SseParser } from '../sse-parser.js';
import { RequestTransport } from './request.js';
import type { Want } from './transport.js';

/** Seconds, where `welcome` names none. */
const DEFAULT_HEARTBEAT = 15;

/**
 * Server-sent events, read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and
 * tell why it failed.
 */
export class SseTransport extends RequestTransport {
  protected async read(wants: Want[], signal: AbortSignal): Promise<void> {
    const response = await this.ask('sse', wants, signal);
    if (!/^text\/event-stream/.test(response.headers.get('content-type') ?? '')) throw unreachable('not a stream');
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    let silence = 0;
    for (;;) {
      const chunk = await reader?.read();
      if (signal.aborted) return;
      if (!chunk || chunk.done) throw unreachable('the stream ended');
      for (const data of parser.push(decoder.decode(chunk.value, { stream: true }))) {
        const event = asEvent(JSON.parse(data));
        if (event.type === 'welcome') silence = 2000 * (event.heartbeat ?? DEFAULT_HEARTBEAT);
        this.sink.event(event);
        if (signal.aborted) return;
      }
      // Bytes alone prove nothing: until the welcome, the first deadline stands.
      if (silence) this.expect(silence);
    }
  }
}
