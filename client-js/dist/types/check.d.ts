/**
 * What the server asks of the texts that an application passes in. They are checked here, because it refuses a whole
 * request for one of them, and with it what else is in there.
 */
declare const FORMS: {
    name: RegExp;
    id: RegExp;
    event: RegExp;
    from: RegExp;
};
/** Checks one text for its form. @throws TricastError `bad_request`. */
export declare function check(what: keyof typeof FORMS, text: unknown, channel: string): void;
export {};
