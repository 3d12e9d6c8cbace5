/** Handlers by the name of what they hear. */
export interface Emitter<Events extends object> {
  /** Adds a handler and returns what removes it. Adding the same function twice adds it once. */
  on<Name extends keyof Events>(name: Name, handler: (value: Events[Name]) => void): () => void;
  /** Calls the handlers that are registered at this moment. One that throws is reported, and disturbs nobody. */
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void;
}

/** Makes an emitter without handlers. */
export function createEmitter<Events extends object>(): Emitter<Events> {
  const handlers: { [Name in keyof Events]?: Set<(value: Events[Name]) => void> } = {};
  return {
    on(name, handler) {
      const set = (handlers[name] ??= new Set());
      set.add(handler);
      return () => void set.delete(handler);
    },
    emit(name, value) {
      for (const handler of [...(handlers[name] ?? [])]) {
        try {
          handler(value);
        } catch (error) {
          console.error(error);
        }
      }
    },
  };
}
