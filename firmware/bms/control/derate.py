"""Derating: the current that may flow is the least that any limiter of tables/limiters.py allows.

A limit falls at once. It rises only when it has not fallen for `derate_hold_ms`, and then by
`derate_ramp_pct_s` of the base limit a second. Every level at which a limit reaches zero lies inside
the trip limit behind it; that is checked when a `Derate` is made. Integers only, nothing allocated in
`step`; shares are in permille, so that with base limits up to 500 A no product leaves 2^29.
"""

from array import array

from bms.sample import MISSING, PERIOD_MS, SOC_HIGHEST, SOC_LOWEST, UNKNOWN_CPCT
from bms.tables import limiters
from bms.tables.faults import DERATE, FAULTS
from bms.tables.limiters import CHARGE, DISCHARGE, FALLING, MAPS, NONE, RAMP
from bms.tables.signals import CLOSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Estimate, Snapshot
    from bms.tables.faults import Fault

_SIDES = (CHARGE, DISCHARGE)
_WHOLE = 1000
_MOST_DA = 0xFFFF


def share(value: int, begin: int, end: int, floor: int) -> int:
    """Permille of the base limit at `value`: 1000 up to `begin`, `floor` from `end` on, a line between.

    `end` may lie above or below `begin`; |end - begin| * 1000 must stay below 2^30.
    """
    to_go = end - value if end > begin else value - end
    span = abs(end - begin)
    if to_go <= 0:
        return floor
    if to_go >= span:
        return _WHOLE
    return floor + (_WHOLE - floor) * to_go // span


def check(limits: "dict[str, int]") -> None:
    """Raise ValueError when a limit would not be zero before the protection behind it trips."""
    for _, _, signal, begin, end, _, trip in MAPS:
        rising = signal not in FALLING
        if (limits[end] > limits[begin]) != rising or limits[end] == limits[begin]:
            raise ValueError(
                "%s is %d, it must lie %s %s (%d)"
                % (end, limits[end], "above" if rising else "below", begin, limits[begin])
            )
        if trip and (limits[end] >= limits[trip] if rising else limits[end] <= limits[trip]):
            raise ValueError(
                "%s is %d: the limit must be zero before the trip at %s (%d)"
                % (end, limits[end], trip, limits[trip])
            )
    if limits["charge_max_ma"] >= limits["charge_oc_ma"]:
        raise ValueError(
            "charge_max_ma is %d, it must lie below charge_oc_ma (%d)"
            % (limits["charge_max_ma"], limits["charge_oc_ma"])
        )
    if limits["discharge_max_ma"] <= limits["discharge_oc_ma"]:
        raise ValueError(
            "discharge_max_ma is %d, it must lie above discharge_oc_ma (%d)"
            % (limits["discharge_max_ma"], limits["discharge_oc_ma"])
        )


class Derate:
    """Current limits of one string under `limits` (parameter name -> value).

    After `step`: `charge_da` and `discharge_da` (0.1 A, both >= 0) and the limiters in force, ids of
    tables/limiters.py. Both limits are 0 until the first step and rise from there.
    """

    def __init__(self, limits: "dict[str, int]", faults: "tuple[Fault, ...]" = FAULTS) -> None:
        check(limits)
        self._base_ma = (limits["charge_max_ma"], -limits["discharge_max_ma"])
        self._maps = tuple(
            (side, limiter, signal, limits[begin], limits[end], 10 * limits[floor] if floor else 0)
            for side, limiter, signal, begin, end, floor, _ in MAPS
        )
        self._fault_share = 10 * limits["fault_derate_pct"]
        self._asking = bytearray(8)
        for row in faults:
            if row.action == DERATE:
                self._asking[row.id >> 3] |= 1 << (row.id & 7)
        self._sigmas = limits["soc_sigmas"]
        self._hold_ms = limits["derate_hold_ms"]
        # shares and rates are of the base limit: base * pct/s * 0.1 s / 100
        self._rise_ma = tuple(max(1, base * limits["derate_ramp_pct_s"] // 1000) for base in self._base_ma)
        self._signal = array("i", [0] * 7)
        self._target_ma = array("i", [0, 0])
        self._limit_ma = array("i", [0, 0])
        self._since_fall_ms = array("i", [0, 0])
        self._why = array("b", [NONE, NONE])
        self._remote_ma = array("i", [0, 0])
        self._remote_ms = 0
        self.charge_da = 0
        self.discharge_da = 0
        self.charge_limiter = limiters.QUALITY
        self.discharge_limiter = limiters.QUALITY

    def remote(self, charge_da: int, discharge_da: int, ttl_ms: int) -> None:
        """Hold the limits at or below these (0.1 A) for `ttl_ms`; the newest call counts.

        It can only tighten: the own limiters go on, and are what is left when it has expired.
        Raises ValueError for a value that makes no sense.
        """
        for name, value in (("charge_da", charge_da), ("discharge_da", discharge_da)):
            if not 0 <= value <= _MOST_DA:
                raise ValueError("remote limit %s is %d, it must be 0..%d" % (name, value, _MOST_DA))
        if not 0 < ttl_ms < 0x40000000:
            raise ValueError("remote limit's ttl_ms is %d, it must be 1..%d" % (ttl_ms, 0x3FFFFFFF))
        self._remote_ma[CHARGE] = 100 * charge_da
        self._remote_ma[DISCHARGE] = 100 * discharge_da
        self._remote_ms = ttl_ms

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period."""
        self._find_targets(snapshot, estimate)
        self._remote_ms = max(0, self._remote_ms - PERIOD_MS)
        self.charge_limiter = self._move(CHARGE)
        self.discharge_limiter = self._move(DISCHARGE)
        self.charge_da = self._limit_ma[CHARGE] // 100
        self.discharge_da = self._limit_ma[DISCHARGE] // 100

    def _find_targets(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        for side in _SIDES:
            self._target_ma[side] = self._base_ma[side]
            self._why[side] = NONE
        if not (snapshot.fast_known and snapshot.cells_known and snapshot.temps_known):
            return self._stop(limiters.QUALITY)
        if snapshot.state != CLOSED:
            return self._stop(limiters.CONTACTORS)
        if self._fault_asks(snapshot.faults):
            self._allow(CHARGE, limiters.FAULT, self._fault_share)
            self._allow(DISCHARGE, limiters.FAULT, self._fault_share)
        self._measure(snapshot, estimate)
        for side, limiter, signal, begin, end, floor in self._maps:
            self._allow(side, limiter, share(self._signal[signal], begin, end, floor))
        for side in _SIDES:
            if estimate.power_ma[side] != MISSING:
                self._cap(side, limiters.POWER, estimate.power_ma[side])
        if self._remote_ms > 0:
            for side in _SIDES:
                self._cap(side, limiters.REMOTE, self._remote_ma[side])

    def _stop(self, limiter: int) -> None:
        self._allow(CHARGE, limiter, 0)
        self._allow(DISCHARGE, limiter, 0)

    def _allow(self, side: int, limiter: int, permille: int) -> None:
        self._cap(side, limiter, self._base_ma[side] * permille // _WHOLE)

    def _cap(self, side: int, limiter: int, allowed_ma: int) -> None:
        if allowed_ma < self._target_ma[side]:
            self._target_ma[side] = allowed_ma
            self._why[side] = limiter

    def _fault_asks(self, faults: bytearray) -> bool:
        for i in range(8):
            if faults[i] & self._asking[i]:
                return True
        return False

    def _measure(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        # in the order of the signals in tables/limiters.py
        signal = self._signal
        signal[0] = snapshot.cell_max_mv
        signal[1] = snapshot.cell_min_mv
        signal[2] = snapshot.temp_max_dc
        signal[3] = snapshot.temp_min_dc
        known = estimate.sigma_cpct < UNKNOWN_CPCT
        margin_cpct = self._sigmas * estimate.sigma_cpct
        signal[4] = estimate.soc_cpct + margin_cpct if known else UNKNOWN_CPCT
        signal[5] = estimate.soc_cpct - margin_cpct if known else 0
        # the first cell that is full or empty ends it for all
        lowest_cpct, highest_cpct = estimate.outlook[SOC_LOWEST], estimate.outlook[SOC_HIGHEST]
        if lowest_cpct != MISSING and highest_cpct != MISSING:
            signal[4] = max(signal[4], highest_cpct)
            signal[5] = min(signal[5], lowest_cpct)
        signal[6] = snapshot.cell_max_mv - snapshot.cell_min_mv

    def _move(self, side: int) -> int:
        """Bring the limit of a side towards its target; the limiter in force."""
        limit = self._limit_ma
        target_ma = self._target_ma[side]
        if target_ma < limit[side]:
            limit[side] = target_ma
            self._since_fall_ms[side] = 0
        elif self._since_fall_ms[side] < self._hold_ms:
            self._since_fall_ms[side] += PERIOD_MS
        else:
            limit[side] = min(target_ma, limit[side] + self._rise_ma[side])
        return self._why[side] if limit[side] == target_ma else RAMP
