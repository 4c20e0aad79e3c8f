/**
 * What the API says, as JSON. Names, labels and units of measured values are not written here:
 * they come with `/api/tables`, and a `Sample` is keyed by the names of its signal rows.
 */

export interface SignalRow {
  readonly key: number;
  readonly name: string;
  readonly unit: string;
  readonly array: boolean;
  readonly doc: string;
}

export interface ParamRow {
  readonly id: number;
  readonly name: string;
  readonly unit: string;
  readonly doc: string;
  /** By name of the chemistry; numbers in `unit`. */
  readonly presets: Readonly<Record<string, { readonly default: number }>>;
}

export interface FaultRow {
  readonly id: number;
  readonly name: string;
  /** Sample group that it watches: fast, cells or temps. */
  readonly group: string;
  /** Parameter that is its limit. */
  readonly limit: string;
  readonly severity: string;
  readonly doc: string;
}

/** What can hold a current limit down; `id` is what the limiter signals carry. */
export interface LimiterRow {
  readonly id: number;
  readonly name: string;
  readonly doc: string;
}

export interface Tables {
  readonly signals: readonly SignalRow[];
  readonly params: readonly ParamRow[];
  readonly faults: readonly FaultRow[];
  readonly limiters: readonly LimiterRow[];
  readonly states: readonly string[];
  /** Phase of charging by value of the signal `charge_phase`. */
  readonly charge_phases: readonly string[];
  /** Name of a contactor gate -> its bit in the signal `gates`. */
  readonly gates: Readonly<Record<string, number>>;
}

export type Value = number | readonly number[] | null | undefined;

/** One sample of one stream in SI units. */
export interface Sample {
  readonly time_utc_ms: number;
  readonly [signal: string]: Value;
}

export interface ActiveFault {
  readonly id: number;
  readonly name: string;
  readonly severity: string;
}

export interface Reference {
  readonly time_utc_ms: number;
  readonly soc: number;
}

/** A pack with its newest sample; the facts are null before its first birth message. */
export interface Pack {
  readonly pack_id: string;
  readonly site: string;
  readonly online: boolean;
  readonly machine: string | null;
  readonly firmware: string | null;
  readonly chemistry: string | null;
  readonly boot_id: string | null;
  readonly last_seen_ms: number;
  readonly latest: Sample | null;
  readonly faults: readonly ActiveFault[];
}

/** A pack of a snapshot: with its newest cell arrays too. */
export interface PackWithCells extends Pack {
  readonly cells_latest: Sample | null;
}

/** A fault that was raised, or a sample that came twice with different content. */
export interface Alert {
  readonly kind: "fault" | "conflict";
  readonly pack_id: string;
  readonly boot_id: string;
  readonly stream: string;
  readonly seq: number;
  readonly severity: string;
  readonly name: string;
  readonly text: string;
  readonly active: boolean;
  readonly raised_ms: number;
  /** Null while active, and when a restart ended it. */
  readonly cleared_ms: number | null;
  readonly fault: number | null;
  /** What tripped and the limit in force, in `unit`. */
  readonly value: number | null;
  readonly limit: number | null;
  readonly unit: string | null;
  /** Cell or sensor from 0, -1 for the whole pack. */
  readonly index: number | null;
}

export interface Alerts {
  readonly alerts: readonly Alert[];
}

/** A sample of the event stream, with what it means when it is about a fault. */
export interface FaultEvent {
  readonly pack_id: string;
  readonly boot_id: string;
  readonly seq: number;
  readonly time_utc_ms: number;
  readonly fault: number | null;
  readonly raised: number | null;
  readonly value: number | null;
  readonly limit: number | null;
  readonly index: number | null;
  readonly name?: string;
  readonly severity?: string;
  readonly unit?: string | null;
  readonly text?: string;
}

/** Columns of equal length, oldest first, with `time_utc_ms` among them. */
export interface History {
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>;
}

type OfPack = { readonly pack_id: string };

/** What the live stream carries, by event name. */
export type LiveMessage =
  | { readonly event: "snapshot"; readonly data: { readonly packs: readonly PackWithCells[] } }
  | { readonly event: "sample"; readonly data: Sample & OfPack }
  | { readonly event: "cells"; readonly data: Sample & OfPack }
  | { readonly event: "event"; readonly data: FaultEvent }
  | { readonly event: "pack"; readonly data: Pack }
  | { readonly event: "reference"; readonly data: Reference & OfPack };
