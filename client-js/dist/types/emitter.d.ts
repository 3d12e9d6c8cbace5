type Handler<T> = (value: T) => void;
/** Typed events. A handler that throws is reported and disturbs neither the others nor the stream. */
export declare class Emitter<Events extends object> {
    #private;
    /** Adds a handler and returns what removes it. Adding the same function twice adds it once. */
    on<Name extends keyof Events>(name: Name, handler: Handler<Events[Name]>): () => void;
    /** Calls the handlers that are registered at this moment. */
    emit<Name extends keyof Events>(name: Name, value: Events[Name]): void;
}
export {};
