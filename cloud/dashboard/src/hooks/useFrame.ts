import { useSlice } from "../state/app";
import { useNow } from "./useNow";

/** Span of time that the charts show, in the server's ms: the chosen hours, up to now. */
export function useFrame(): [fromMs: number, toMs: number] {
  const hours = useSlice((state) => state.hours);
  const offset = useSlice((state) => state.clockOffsetMs);
  const last = useSlice((state) => state.series.time.at(-1) ?? 0);
  const toMs = Math.max(useNow() + offset, last);
  return [toMs - hours * 3_600_000, toMs];
}
