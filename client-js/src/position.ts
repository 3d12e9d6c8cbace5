/**
 * A place in one incarnation of one channel: "I have everything up to and including `seq`". On a state that is being
 * read from its start it bears a base: the head of the snapshot, up to which no deletion was told (protocol 5.3).
 *
 * Epoch and seq live in one immutable value, so no code can adopt the one without the other.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
  readonly base?: number | undefined;
}

const FORM = /^([0-9a-z]{12,16})-(0|[1-9]\d{0,15})(?:-(0|[1-9]\d{0,15}))?$/;

/** Reads `<epoch>-<seq>` or `<epoch>-<seq>-<base>`, or answers null where that is no position. */
export function parsePosition(text: string): Position | null {
  const [, epoch, seq, base] = (FORM.exec(text) ?? []) as [string?, string?, string?, string?];
  return Math.max(+seq!, +(base ?? 0)) < 2 ** 53 ? { epoch: epoch!, seq: +seq!, base: (base && +base) as number | undefined } : null;
}

/** Writes the form that `parsePosition` reads. */
export function formatPosition({ epoch, seq, base }: Position): string {
  return `${epoch}-${seq}${base === undefined ? '' : `-${base}`}`;
}
