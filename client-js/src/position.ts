/**
 * A place in one incarnation of one channel: "I have everything up to and including `seq`".
 *
 * Epoch and seq live in one immutable value, so no code can adopt the one without the other.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

const FORM = /^([0-9a-z]{12,16})-(0|[1-9]\d{0,15})$/;

/** Reads `<epoch>-<seq>`, or answers null where that is no position. */
export function parsePosition(text: string): Position | null {
  const [, epoch, digits] = FORM.exec(text) ?? [];
  const seq = Number(digits);
  return epoch !== undefined && Number.isSafeInteger(seq) ? { epoch, seq } : null;
}

/** Writes the form that `parsePosition` reads. */
export function formatPosition({ epoch, seq }: Position): string {
  return `${epoch}-${seq}`;
}
