import { unreachable } from '../errors.js';
import { MAX_BLOCK, MAX_ENVELOPE } from '../limits.js';
import { asEvent } from '../protocol.js';
import { SseParser } from '../sse-parser.js';
import { RequestTransport } from './request.js';

/**
 * Server-sent events, read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and
 * tell why it failed.
 */
export class SseTransport extends RequestTransport {
  protected async read(signal: AbortSignal): Promise<void> {
    const response = await this.ask('sse', signal);
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) throw unreachable('not a stream');
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    // This stream has its own welcome.
    this.heartbeat = 0;
    for (;;) {
      const chunk = await reader?.read();
      if (signal.aborted) return;
      if (!chunk || chunk.done) throw unreachable('the stream ended');
      for (const data of parser.push(decoder.decode(chunk.value, { stream: true }))) {
        const event = asEvent(JSON.parse(data));
        if (event.type === 'welcome') {
          this.welcome(event);
          // Bytes in base64 are a third longer.
          parser.max = Math.max(MAX_BLOCK, 2 * (event.limits?.message ?? 0) + MAX_ENVELOPE);
        }
        this.sink.event(event);
        if (signal.aborted) return;
      }
      this.heard();
    }
  }
}
