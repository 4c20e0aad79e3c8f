import { expect, test } from "vitest";

import type { Alert, FaultEvent, LiveMessage, PackWithCells, Sample, Tables } from "../src/api/contract";
import { initialState, reduce, type State } from "../src/state/reducer";
import { POINTS } from "../src/state/series";

const BOOT = "0000000100000001";
const TABLES: Tables = {
  signals: [{ key: 1, name: "pack_voltage_v", unit: "V", array: false, doc: "pack voltage" }],
  params: [{ id: 1, name: "cell_ov_mv", unit: "mV", doc: "", presets: { nmc: { default: 4250 } } }],
  faults: [{ id: 3, name: "cell_over_voltage", group: "cells", limit: "cell_ov_mv", severity: "critical", doc: "" }],
  limiters: [{ id: 0, name: "none", doc: "" }],
  states: ["boot", "open", "precharge", "closed"],
  charge_phases: ["off"],
  gates: { negative: 1 },
};

const sample = (time_utc_ms: number, more: Record<string, number | number[]> = {}): Sample => ({
  time_utc_ms,
  soc: 0.5,
  faults: [],
  ...more,
});

const pack = (pack_id: string, latest: Sample | null = null): PackWithCells => ({
  pack_id,
  site: "hall",
  online: true,
  machine: null,
  firmware: null,
  chemistry: "nmc",
  boot_id: BOOT,
  last_seen_ms: 0,
  latest,
  faults: [],
  cells_latest: null,
});

const event = (seq: number, raised: number, more: Partial<FaultEvent> = {}): FaultEvent => ({
  pack_id: "a",
  boot_id: BOOT,
  seq,
  time_utc_ms: seq * 1000,
  fault: 3,
  raised,
  value: 4262,
  limit: 4250,
  index: 4,
  name: "cell_over_voltage",
  severity: "critical",
  unit: "mV",
  text: "highest cell above its limit",
  ...more,
});

const hear = (state: State, ...messages: LiveMessage[]): State =>
  messages.reduce((now, message) => reduce(now, { type: "live", message }), state);

const begun = (...packs: PackWithCells[]): State =>
  hear(reduce(initialState(), { type: "tables", tables: TABLES }), { event: "snapshot", data: { packs } });

const say = (pack_id: string, what: Sample): LiveMessage => ({
  event: "sample",
  data: { ...what, pack_id } as Sample & { pack_id: string },
});

test("the first snapshot chooses a pack; a later one keeps the choice while it is there", () => {
  expect(begun(pack("p-10"), pack("p-9")).selected).toBe("p-9");
  let state = begun(pack("a"), pack("b"));
  expect(state.selected).toBe("a");
  state = reduce(state, { type: "select", pack: "b" });
  expect(hear(state, { event: "snapshot", data: { packs: [pack("a"), pack("b")] } }).selected).toBe("b");
  expect(hear(state, { event: "snapshot", data: { packs: [pack("a")] } }).selected).toBe("a");
  expect(hear(state, { event: "snapshot", data: { packs: [] } }).selected).toBeNull();
});

test("a sample changes its pack only, and names the faults it reports", () => {
  const before = begun(pack("a"), pack("b"));
  const state = hear(before, say("a", sample(1000, { faults: [3, 60] })));
  expect(state.packs.get("b")).toBe(before.packs.get("b"));
  expect(state.packs.get("a")?.faults).toEqual([
    { id: 3, name: "cell_over_voltage", severity: "critical" },
    { id: 60, name: "fault 60", severity: "critical" },
  ]);
});

test("a re-sent old sample never replaces a newer one", () => {
  const state = hear(begun(pack("a")), say("a", sample(5000, { soc: 0.4 })), say("a", sample(2000, { soc: 0.9 })));
  expect(state.packs.get("a")?.latest?.["soc"]).toBe(0.4);
  expect(state.series.time).toEqual([5000]);
  const cells = (t: number): LiveMessage => ({ ...say("a", sample(t)), event: "cells" }) as LiveMessage;
  expect(hear(state, cells(9), cells(3)).cells.get("a")?.time_utc_ms).toBe(9);
});

test("what a newer server says beyond this page's knowledge is passed over", () => {
  const state = begun(pack("a"));
  expect(hear(state, { event: "weather", data: {} } as unknown as LiveMessage)).toBe(state);
  expect(hear(state, say("stranger", sample(1)))).toBe(state);
});

test("a pack that appears later is listed, and chosen when it is the first", () => {
  const state = hear(begun(), { event: "pack", data: pack("new") });
  expect([...state.packs.keys()]).toEqual(["new"]);
  expect([state.selected, state.history]).toEqual(["new", "loading"]);
});

test("a fault comes, comes again on the wire, and goes", () => {
  let state = hear(begun(pack("a")), { event: "event", data: event(1, 1) }, { event: "event", data: event(1, 1) });
  expect(state.alerts).toHaveLength(1);
  expect(state.alerts[0]).toMatchObject({ active: true, value: 4262, unit: "mV", raised_ms: 1000 });
  state = hear(state, { event: "event", data: event(2, 0) });
  expect(state.alerts[0]).toMatchObject({ active: false, cleared_ms: 2000 });
  // the raise again, after its end: still over
  expect(hear(state, { event: "event", data: event(1, 1) }).alerts[0]?.active).toBe(false);
});

test("alerts of the API and of the stream are one list, newest first", () => {
  let state = hear(begun(pack("a")), { event: "event", data: event(5, 1) });
  const older = { ...(state.alerts[0] as Alert), seq: 2, raised_ms: 2000, active: false, cleared_ms: 2500 };
  state = reduce(state, { type: "alerts", alerts: [...state.alerts, older] });
  expect(state.alerts.map((alert) => alert.seq)).toEqual([5, 2]);
});

test("a restart ends the faults of the boot before", () => {
  let state = hear(begun(pack("a")), { event: "event", data: event(1, 1) });
  state = hear(state, { event: "pack", data: { ...pack("a"), boot_id: "0000000200000001" } });
  expect(state.alerts[0]).toMatchObject({ active: false, cleared_ms: null });
});

test("the past comes before what was heard while it was under way", () => {
  let state = hear(begun(pack("a")), say("a", sample(900_000, { soc: 0.6 })));
  state = hear(state, { event: "reference", data: { pack_id: "a", time_utc_ms: 900_500, soc: 0.61 } });
  const columns = { time_utc_ms: [100_000, 200_000], soc: [0.8, 0.7], soc_reference: [null, 0.71] };
  state = reduce(state, { type: "history", pack: "a", hours: state.hours, history: { columns } });
  expect(state.history).toBe("loaded");
  expect(state.series.time).toEqual([100_000, 200_000, 900_000]);
  expect(state.series.columns["soc"]).toEqual([0.8, 0.7, 0.6]);
  expect(state.series.reference).toEqual([0.71, 0.61]);
});

test("a past that nobody waits for any more is dropped, a failed one is said", () => {
  const state = begun(pack("a"), pack("b"));
  const late = { type: "history", pack: "b", hours: state.hours, history: { columns: {} } } as const;
  expect(reduce(state, late)).toBe(state);
  expect(reduce(state, { ...late, pack: "a", history: null }).history).toBe("failed");
});

test("two hours of samples stays within the points of the window, and ends with the newest", () => {
  let state = reduce(begun(pack("a")), { type: "hours", hours: 1 });
  for (let t = 0; t <= 2 * 3_600_000; t += 1000) state = hear(state, say("a", sample(t, { soc: t })));
  const { time, columns } = state.series;
  expect(time.length).toBeLessThanOrEqual(POINTS + 2);
  expect(time.length).toBeGreaterThan(POINTS * 0.9);
  expect(time.at(-1)).toBe(7_200_000);
  expect(columns["soc"]).toEqual(time);
  expect(time[1]).toBeGreaterThanOrEqual(3_600_000);
});

test("limits and parts come from the tables", () => {
  const { lookup } = begun();
  expect(lookup?.limit("cell_ov_mv", "nmc")).toBe(4.25);
  expect([lookup?.limit("cell_ov_mv", null), lookup?.limit("nothing", "nmc")]).toEqual([null, null]);
  expect([lookup?.part(3, 4), lookup?.part(3, -1), lookup?.part(null, 4)]).toEqual(["cell 5", "", ""]);
  expect([lookup?.state(sample(0, { state: 3 })), lookup?.state(null)]).toEqual(["closed", "unknown"]);
});
