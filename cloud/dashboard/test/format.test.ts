import { expect, test } from "vitest";

import { backoffMs } from "../src/api/live";
import { describe as say, STALE_MS } from "../src/lib/connection";
import { age, fixed, percent, rawWithUnit, shortMachine, signed, words } from "../src/lib/format";

test("numbers", () => {
  expect(fixed(3.14159, 2)).toBe("3.14");
  expect(fixed(-0.001, 2)).toBe("0.00");
  expect(fixed(-1.5, 1)).toBe("\u22121.5");
  expect([fixed(null, 1), fixed(Number.NaN, 1), fixed(undefined, 0)]).toEqual(["–", "–", "–"]);
  expect([signed(1.5, 1), signed(-1.5, 1), signed(0.001, 1)]).toEqual(["+1.5", "\u22121.5", "0.0"]);
  expect(percent(0.6346)).toBe("63.5");
});

test.each([
  [4262, "mV", "4.262\u00a0V"],
  [-24630, "mA", "\u221224.63\u00a0A"],
  [-305, "0.1 degC", "\u221230.5\u00a0°C"],
  [104, "ms", "104\u00a0ms"],
  [95, "%", "95\u00a0%"],
  [7, null, "7\u00a0"],
  [null, "mV", "–"],
])("a raw %s in %s", (raw, unit, text) => {
  expect(rawWithUnit(raw, unit).trim()).toBe(text.trim());
});

test("ages", () => {
  const all = [0, 1400, 4000, 89_000, 120_000, 7_200_000, 200_000_000].map((ms) => age(ms).replace("\u00a0", " "));
  expect(all).toEqual(["now", "now", "4 s ago", "89 s ago", "2 min ago", "2 h ago", "2 d ago"]);
});

test("words", () => {
  expect(words("cell_over_voltage")).toBe("Cell over voltage");
  expect(shortMachine("mps2-an500 with Cortex-M7")).toBe("Cortex-M7");
  expect(shortMachine(null)).toBe("machine unknown");
});

test("the state of the connection is said as time goes by", () => {
  const open = { kind: "open", heardAtMs: 0 } as const;
  expect(say(open, STALE_MS).tone).toBe("live");
  expect(say(open, STALE_MS + 1)).toMatchObject({ tone: "stale", text: "Stale" });
  const lost = { kind: "lost", why: "gone", retryAtMs: 3000 } as const;
  expect(say(lost, 500)).toEqual({ tone: "wait", text: "Reconnecting", detail: "in 3\u00a0s: gone" });
  expect(say(lost, 9000).detail).toBe("now: gone");
});

test("waits between attempts double, spread and stay bounded", () => {
  expect([0, 1, 2, 3].map((n) => backoffMs(n, () => 1))).toEqual([500, 1000, 2000, 4000]);
  expect(backoffMs(0, () => 0)).toBe(250);
  expect(backoffMs(60, () => 1)).toBe(15_000);
});
