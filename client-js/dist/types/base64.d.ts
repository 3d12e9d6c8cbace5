/** Decodes a `data64` field. */
export declare function fromBase64(text: string): Uint8Array;
