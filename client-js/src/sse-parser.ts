import { TricastError } from './errors.js';
import { MAX_BLOCK } from './limits.js';

/**
 * Cuts decoded text into blocks as the HTML standard says (section 9.2.6), wherever the chunks end, and answers the
 * `data` of each. The envelope mode says everything in there: `event`, `id` and `retry` are skipped.
 *
 * @returns what takes the next chunk. It throws a TricastError `too_large` once a line or a block outgrows its bound.
 */
export function createSseParser(): (chunk: string) => string[] {
  let rest = '';
  let isAfterCr = false;
  let data = '';
  return (chunk) => {
    const blocks: string[] = [];
    if (!chunk) return blocks;
    // The LF of a CRLF may come with the next chunk.
    const lines = (rest + (isAfterCr ? chunk.replace(/^\n/, '') : chunk)).split(/\r\n?|\n/);
    isAfterCr = chunk.endsWith('\r');
    rest = lines.pop()!;
    for (const line of lines) {
      const match = /^data(?::|$) ?(.*)/s.exec(line);
      if (match) data += `\n${match[1]}`;
      if (!line && data) {
        blocks.push(data.slice(1));
        data = '';
      }
    }
    if ((rest + data).length > MAX_BLOCK) throw new TricastError('too_large');
    return blocks;
  };
}
