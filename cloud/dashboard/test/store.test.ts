import { expect, test } from "vitest";

import { createStore } from "../src/state/store";

function counting() {
  const frames: (() => void)[] = [];
  const store = createStore((sum: number, add: number) => sum + add, 0, (flush) => frames.push(flush));
  let heard = 0;
  const stop = store.subscribe(() => heard++);
  return { store, frames, stop, heard: () => heard };
}

test("many actions of one frame reach listeners once", () => {
  const { store, frames, heard } = counting();
  for (let i = 0; i < 100; i++) store.dispatch(1);
  expect([store.get(), heard(), frames.length]).toEqual([0, 0, 1]);
  frames[0]?.();
  expect([store.get(), heard()]).toEqual([100, 1]);
});

test("a page without frames still takes what comes, in bounded memory", () => {
  const { store } = counting();
  for (let i = 0; i < 1001; i++) store.dispatch(1);
  expect(store.get()).toBeGreaterThanOrEqual(1000);
});

test("no change, no call; after the end of a subscription none either", () => {
  const { store, frames, stop, heard } = counting();
  store.dispatch(0);
  frames.at(-1)?.();
  expect(heard()).toBe(0);
  stop();
  store.dispatch(5);
  frames.at(-1)?.();
  expect([store.get(), heard()]).toEqual([5, 0]);
});
