// A value that components follow: whoever uses it is drawn anew when it is another.

import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(value: T): void;
  subscribe(hear: () => void): () => void;
}

export function store<T>(value: T): Store<T> {
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const hear of [...listeners]) hear();
    },
    subscribe(hear) {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
  };
}

export function useStore<T>(source: Store<T>): T {
  const [, draw] = useState(0);
  useEffect(() => {
    draw((count) => count + 1); // it may have changed between the drawing and this
    return source.subscribe(() => draw((count) => count + 1));
  }, [source]);
  return source.get();
}
