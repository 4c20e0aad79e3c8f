"""Device time to UTC: one offset a boot (DESIGN: least delay seen, or the device's own UTC).

`offset_ms` is the UTC at device time 0, so a sample's UTC is offset_ms + device_ms.
"""

from dataclasses import dataclass

ARRIVAL = "arrival"
"""The offset is the least of arrival minus device time that was seen."""
PLACED = "placed"
"""Never seen live: put between the boots before and after."""

STEP_MS = 100
"""Improvements below this are left alone: every change of the offset rewrites a boot's times."""
_EARLIEST_MS = 1_577_836_800_000  # 2020-01-01: no device of ours is older
_FUTURE_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Clock:
    """A boot's offset and where it came from: arrival, placed, or one of UTC_SOURCES."""

    offset_ms: int
    source: str


def observe(
    clock: Clock | None, now_ms: int, utc_ms: int | None, utc_source: str | None, arrival_ms: int
) -> Clock:
    """The clock after a live message sent at device time `now_ms` that arrived at `arrival_ms`."""
    if utc_ms is not None and utc_source is not None and _EARLIEST_MS <= utc_ms <= arrival_ms + _FUTURE_MS:
        offset = utc_ms - now_ms
        if clock is None or clock.source in (ARRIVAL, PLACED) or abs(offset - clock.offset_ms) >= STEP_MS:
            return Clock(offset, utc_source)
        return clock
    offset = arrival_ms - now_ms
    if clock is None or clock.source == PLACED:
        return Clock(offset, ARRIVAL)
    if clock.source == ARRIVAL and offset <= clock.offset_ms - STEP_MS:
        return Clock(offset, ARRIVAL)
    return clock


def place(
    clock: Clock | None,
    first_ms: int,
    last_ms: int,
    after_ms: int | None,
    before_ms: int | None,
    arrival_ms: int,
) -> Clock:
    """The clock of a boot never seen live, from back-filled samples of device time first_ms..last_ms.

    `after_ms` is the UTC of the last sample of the boot before, `before_ms` the start of the boot after.
    """
    if clock is not None and clock.source != PLACED:
        return clock
    latest = (before_ms if before_ms is not None else arrival_ms) - 1 - last_ms
    offset = latest if after_ms is None else min(latest, after_ms + 1 - first_ms)
    if clock is not None:
        # only ever earlier, and only when the samples would reach into the next boot
        offset = min(clock.offset_ms, latest)
    return Clock(offset, PLACED)
