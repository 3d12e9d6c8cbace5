/** Handlers by the name of what they hear. */
export interface Emitter<Events extends object> {
    /** Adds a handler and returns what removes it. Adding the same function twice adds it once. */
    on<Name extends keyof Events>(name: Name, handler: (value: Events[Name]) => void): () => void;
    /** Calls the handlers that are registered at this moment. One that throws is reported, and disturbs nobody. */
    emit<Name extends keyof Events>(name: Name, value: Events[Name]): void;
}
/** Makes an emitter without handlers. */
export declare function createEmitter<Events extends object>(): Emitter<Events>;
