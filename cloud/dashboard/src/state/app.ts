import { useSyncExternalStore } from "react";

import { initialState, reduce, type Action, type State } from "./reducer";
import { createStore } from "./store";

/** The pack that the address names (`#pack=...`), so that a link or a reload shows the same one. */
const addressed = (): string | null => new URLSearchParams(location.hash.slice(1)).get("pack");

export const store = createStore<State, Action>(reduce, initialState(addressed()));

/** A slice of the state; the component renders again when the slice is another object. */
export function useSlice<T>(slice: (state: State) => T): T {
  return useSyncExternalStore(store.subscribe, () => slice(store.get()));
}
