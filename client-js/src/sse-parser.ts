import { MAX_BLOCK } from './limits.js';

/**
 * Cuts decoded text into blocks as the HTML standard says (section 9.2.6), wherever the chunks end, and answers the
 * `data` of each. The envelope mode says everything in there: `event`, `id` and `retry` are skipped.
 */
export class SseParser {
  /** Characters that one line, or the data of one block, may have. */
  max = MAX_BLOCK;
  #line = '';
  #afterCr = false;
  #data = '';

  /** Takes the next chunk. @throws RangeError once a line or a block outgrows `max`. */
  push(chunk: string): string[] {
    const blocks: string[] = [];
    if (!chunk) return blocks;
    // The LF of a CRLF may come with the next chunk.
    const lines = (this.#afterCr && chunk[0] === '\n' ? chunk.slice(1) : chunk).split(/\r\n|\n|\r/);
    this.#afterCr = chunk.endsWith('\r');
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop() ?? '';
    for (const line of lines) {
      if (!line) {
        if (this.#data) blocks.push(this.#data.slice(1));
        this.#data = '';
      } else {
        const match = /^data(?:: ?(.*))?$/s.exec(line);
        if (match) this.#data += `\n${match[1] ?? ''}`;
      }
    }
    if (Math.max(this.#line.length, this.#data.length) > this.max) throw new RangeError('too long a block');
    return blocks;
  }
}
