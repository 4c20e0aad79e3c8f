import { expect, test } from "vitest";

import { extent, linear, linePath, nearest, ticks, timeTicks } from "../src/lib/scale";

test("a linear scale, and one without a domain", () => {
  expect(linear(0, 10, 100, 0)(2.5)).toBe(75);
  expect(linear(5, 5, 100, 0)(5)).toBe(100);
});

test("ticks are round and inside", () => {
  expect(ticks(2.38, 4.37, 4)).toEqual([2.5, 3, 3.5, 4]);
  expect(ticks(-0.1, 0.3, 4)).toEqual([-0.1, 0, 0.1, 0.2, 0.3]);
  expect(ticks(3, 3, 4)).toEqual([3]);
});

test("moments stand at steps of the clock", () => {
  const minutes = timeTicks(0, 900_000, 6).map((ms) => ms / 60_000);
  expect(minutes.length).toBeLessThanOrEqual(7);
  expect(minutes.every((minute) => Number.isInteger(minute) && minute <= 15)).toBe(true);
});

test("extent skips what is unknown and spans the least", () => {
  expect(extent([3, null, 1, undefined, Number.NaN])).toEqual([1, 3]);
  expect(extent([2], 4)).toEqual([0, 4]);
  expect(extent([null])).toBeNull();
});

test("a line is lifted over nulls and pauses", () => {
  const same = (value: number): number => value;
  expect(linePath([0, 1, 2, 9], [1, 2, 3, 4], same, same, 5)).toBe("M0.0,1.0L1.0,2.0L2.0,3.0M9.0,4.0");
  expect(linePath([0, 1, 2], [1, null, 3], same, same, 5)).toBe("M0.0,1.0M2.0,3.0");
});

test("the nearest moment", () => {
  const time = [10, 20, 40];
  expect([0, 14, 15, 16, 31, 99].map((t) => nearest(time, t))).toEqual([0, 0, 0, 1, 2, 2]);
  expect(nearest([], 5)).toBe(-1);
});
