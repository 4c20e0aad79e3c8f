import type { FaultRow, LimiterRow, Sample, Tables } from "../api/contract";
import { printedUnit, toSi } from "./format";

/** The shared tables with the look-ups that the page needs. */
export class Lookup {
  readonly tables: Tables;
  readonly #faults: ReadonlyMap<number, FaultRow>;

  constructor(tables: Tables) {
    this.tables = tables;
    this.#faults = new Map(tables.faults.map((row) => [row.id, row]));
  }

  /** Printed unit of a signal. */
  unit(signal: string): string {
    return printedUnit(this.tables.signals.find((row) => row.name === signal)?.unit ?? "");
  }

  /** What a signal means, as its row says. */
  doc(signal: string): string {
    return this.tables.signals.find((row) => row.name === signal)?.doc ?? signal;
  }

  fault(id: number): FaultRow | undefined {
    return this.#faults.get(id);
  }

  limiter(id: number | null): LimiterRow | undefined {
    return this.tables.limiters.find((row) => row.id === id);
  }

  /** What an event's index counts: cells or sensors, from 1 as people do; "" for the whole pack. */
  part(fault: number | null, index: number | null): string {
    if (fault === null || index === null || index < 0) return "";
    const group = this.#faults.get(fault)?.group;
    return `${group === "cells" ? "cell" : group === "temps" ? "sensor" : "part"} ${index + 1}`;
  }

  /** Default of a limit parameter for a chemistry, in SI; null when either is unknown. */
  limit(param: string, chemistry: string | null): number | null {
    const row = this.tables.params.find((candidate) => candidate.name === param);
    const raw = chemistry === null ? undefined : row?.presets[chemistry]?.default;
    return row === undefined || raw === undefined ? null : toSi(raw, row.unit);
  }

  /** Contactor state of a sample in words of the table. */
  state(sample: Sample | null): string {
    const index = sample?.["state"];
    return typeof index === "number" ? (this.tables.states[index] ?? `state ${index}`) : "unknown";
  }
}

/** A scalar of a sample, or null. */
export function scalar(sample: Sample | null, signal: string): number | null {
  const value = sample?.[signal];
  return typeof value === "number" ? value : null;
}

/** An array of a sample, empty when it is not there. */
export function list(sample: Sample | null, signal: string): readonly number[] {
  const value = sample?.[signal];
  return Array.isArray(value) ? (value as readonly number[]) : [];
}
