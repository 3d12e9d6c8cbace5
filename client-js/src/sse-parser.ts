import { TricastError } from './errors.js';
import { MAX_BLOCK } from './limits.js';

/**
 * Cuts decoded text into the events of an envelope stream, wherever the chunks end. There each event is one line of `data`
 * (protocol section 6), so nothing has to be joined and no empty line waited for; whatever else is there is skipped.
 *
 * @returns what takes the next chunk, and answers JSON texts. It throws `too_large` once a line outgrows its bound.
 */
export function createSseParser(): (chunk: string) => string[] {
  let rest = '';
  return (chunk) => {
    // Of a CRLF the second half is an empty line.
    const lines = (rest + chunk).split(/[\r\n]/);
    rest = lines.pop()!;
    if (rest.length > MAX_BLOCK) throw new TricastError('too_large');
    return lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5));
  };
}
