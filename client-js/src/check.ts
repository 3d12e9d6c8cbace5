import { TricastError } from './errors.js';
import { parsePosition } from './position.js';

/**
 * What the server asks of the texts that an application passes in. They are checked here, because it refuses a whole
 * request for one of them, and with it what else is in there.
 */
const FORMS = {
  name: /^(?=.{1,255}$|@.{0,265}$)[\w.:@/-]+$/,
  id: /^[!-~]{1,64}$/,
  event: /^(?!(error|open)$|tricast:)[\w.:/-]{1,64}$/,
  from: /^(latest|earliest|last:(0|[1-9]\d{0,14}))$/,
};

/** Checks one text for its form. @throws TricastError `bad_request`. */
export function check(what: keyof typeof FORMS, text: unknown, channel: string): void {
  if (typeof text === 'string' && (FORMS[what].test(text) || (what === 'from' && parsePosition(text)))) return;
  throw new TricastError('bad_request', `the ${what} is not valid`, channel);
}
