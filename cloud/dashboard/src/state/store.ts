/** State that changes through actions only; listeners hear of it once a frame. */
export interface Store<State, Action> {
  readonly get: () => State;
  readonly dispatch: (action: Action) => void;
  readonly subscribe: (listener: () => void) => () => void;
}

/** A hidden tab gets no frames: beyond this many waiting actions the store does not wait for one. */
const MOST_WAITING = 500;

/**
 * A store that gathers actions and applies them together at the next `schedule`d moment, so that
 * a hundred packs at one sample a second cost one rendering a frame, not a hundred.
 */
export function createStore<State, Action>(
  reduce: (state: State, action: Action) => State,
  initial: State,
  schedule: (flush: () => void) => void = (flush) => requestAnimationFrame(flush),
): Store<State, Action> {
  let state = initial;
  let waiting: Action[] = [];
  const listeners = new Set<() => void>();

  const flush = (): void => {
    if (waiting.length === 0) return;
    const actions = waiting;
    waiting = [];
    const before = state;
    state = actions.reduce(reduce, state);
    if (state !== before) for (const listener of listeners) listener();
  };

  return {
    get: () => state,
    dispatch: (action) => {
      waiting.push(action);
      if (waiting.length === 1) schedule(flush);
      else if (waiting.length >= MOST_WAITING) flush();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
