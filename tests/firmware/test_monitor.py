"""Every row of the fault table to the sample and the unit, and what the monitor keeps of it."""

from array import array

from bms.safety.measure import SIGNALS
from bms.safety.monitor import NO_ACTION, WAKE_MS, Events, Monitor
from bms.sample import Sample
from bms.tables import faults
from bms.tables.faults import (
    CELLS,
    DERATE,
    FAST,
    FAULTS,
    LATCHED,
    OPEN_NOW,
    OPEN_SOFT,
    PERIOD_MS,
    TEMPS,
    level,
)
from bms.tables.params import NMC, defaults

ID = {row.name: row.id for row in FAULTS}
LIMITS = defaults(NMC)
N_CELLS = 4
RISE_FROM_DC = LIMITS["over_temp_dc"] - 5  # with its rise the sensor gets hot

# What the table must say, told a second time: the side that offends, the levels, samples either way.
UNDER_MEASUREMENT = (
    ("cell_over_voltage", 1, "cell_ov_mv", "cell_ov_clear_mv", 2),
    ("cell_under_voltage", -1, "cell_uv_mv", "cell_uv_clear_mv", 2),
    ("charge_over_current", 1, "charge_oc_ma", "charge_oc_clear_ma", 2),
    ("discharge_over_current", -1, "discharge_oc_ma", "discharge_oc_clear_ma", 2),
    ("over_temperature", 1, "over_temp_dc", "over_temp_clear_dc", 5),
    ("under_temperature", -1, "under_temp_dc", "under_temp_clear_dc", 5),
    ("charge_over_temperature", 1, "charge_over_temp_dc", "charge_over_temp_clear_dc", 20),
    ("charge_under_temperature", -1, "charge_under_temp_dc", "charge_under_temp_clear_dc", 20),
    ("charge_overload", 1, "charge_overload_ma", "charge_overload_clear_ma", 200),
    ("discharge_overload", -1, "discharge_overload_ma", "discharge_overload_clear_ma", 400),
    ("pack_over_voltage", 1, "pack_ov_cell_mv", "pack_ov_cell_clear_mv", 4),
    ("pack_under_voltage", -1, "pack_uv_cell_mv", "pack_uv_cell_clear_mv", 4),
    ("sum_of_cells", 1, "sum_error_cell_mv", "sum_error_cell_clear_mv", 5),
    ("cell_imbalance", 1, "imbalance_mv", "imbalance_clear_mv", 500),
    ("cells_frozen", 1, "frozen_samples", "frozen_samples", 1),
    ("current_frozen", 1, "frozen_step_cell_mv", "frozen_step_cell_mv", 2),
    ("temp_sensor_open", -1, "temp_low_dc", "temp_low_dc", 1),
    ("temp_sensor_short", 1, "temp_high_dc", "temp_high_dc", 1),
    ("temperature_rise", 1, "temp_rise_dc", "temp_rise_clear_dc", 2),
    ("thermal_runaway", 1, "runaway_rise_dc", "temp_rise_clear_dc", 1),
    ("isolation", -1, "isolation_kohm", "isolation_clear_kohm", 5),
    ("afe_error", 1, "link_errors", "link_errors_clear", 1),
    ("task_overrun", 1, "task_late_periods", "", 1),
    ("tick_overrun", 1, "tick_late_ms", "tick_late_ms", 1),
    ("internal_short", 1, "self_discharge_ma", "self_discharge_clear_ma", 1),
)
FLAGS = (
    "open_wire", "contactor_welded", "contactor_not_closing", "precharge_failed", "parameters_corrupt",
    "state_corrupt", "watchdog_reset", "brownout_reset", "nvm_corrupt",
)  # fmt: skip
LOST = ("fast_lost", "cells_lost", "temps_lost")
PER_CELL = ("pack_over_voltage", "pack_under_voltage", "sum_of_cells", "current_frozen")
DERATING = ("cell_imbalance", "watchdog_reset", "brownout_reset")
SOFT = (
    "over_temperature", "under_temperature", "charge_over_temperature", "charge_under_temperature",
    "charge_overload", "discharge_overload", "temperature_rise", "isolation", "afe_error", "task_overrun",
    "internal_short",
)  # fmt: skip
PASSING = (
    "fast_lost", "cells_lost", "temps_lost", "under_temperature", "charge_over_temperature",
    "charge_under_temperature", "cell_imbalance", "afe_error", "task_overrun", "tick_overrun",
    "watchdog_reset", "brownout_reset",
)  # fmt: skip


class Bench:
    """A monitor with nothing round it: samples go in, bitmaps and events come out."""

    def __init__(self) -> None:
        self.sample = Sample(N_CELLS, 2)
        self.ticks = array("i", [0])
        self.bits = bytearray(16)
        self.watched: "list[int]" = []
        self._memory = bytearray(Monitor.BYTES)
        self.monitor = Monitor(
            LIMITS, self.sample, memoryview(self._memory), memoryview(self.bits), self.ticks
        )
        self._step = self.monitor.step(self.watched.append)
        self.current_ma = 0
        self.pack_mv = N_CELLS * 3700
        self.cell_mv = [3700] * N_CELLS
        self.temp_dc = [250, 250]
        self.isolation_kohm = 1000

    def tick(self, *groups: int, elapsed_ms: int = 5) -> None:
        sample = self.sample
        if FAST in groups:
            sample.put_fast(self.current_ma, self.pack_mv, 0, 0)
        for i in range(N_CELLS):
            sample.cell_mv[i] = self.cell_mv[i]
        for i in range(2):
            sample.temp_dc[i] = self.temp_dc[i]
        sample.isolation_kohm = self.isolation_kohm
        for group in groups:
            if group != FAST:
                sample.arrived(group)
        self.ticks[0] += 1
        self._step(elapsed_ms)

    def settle(self) -> None:
        """Everything has been measured, all of it well, and for longer than any window."""
        for _ in range(40):
            self.tick(FAST, CELLS, TEMPS)

    def show(self, name: str, value: int) -> None:
        """One fresh sample in which the row's signal has this value."""
        row = FAULTS[ID[name]]
        signal = row.signal
        group = row.group
        if signal == "current_ma":
            self.current_ma = value
        elif signal == "pack_mv":
            self.pack_mv = value
        elif signal == "current_frozen_mv":
            self.pack_mv = N_CELLS * 3700 - value
        elif signal == "cell_max_mv" or signal == "cell_min_mv":
            self.cell_mv[2] = value
        elif signal == "spread_mv":
            self.cell_mv[1] = 3700 + value
        elif signal == "sum_error_mv":
            self.pack_mv = N_CELLS * 3700 - value
            self.tick(FAST)
        elif signal == "temp_max_dc" or signal == "temp_min_dc":
            self.temp_dc[1] = value
        elif signal == "rise_dc" or signal == "runaway_dc":
            self.temp_dc[1] = RISE_FROM_DC + value
        elif signal == "isolation_kohm":
            self.isolation_kohm = value
        elif signal == "open_wires":
            self.sample.open_wire = value
        else:
            if row.group > TEMPS:
                while self.ticks[0] & 3 != 1:
                    self.tick()
            self.monitor.measure.put(signal, value)
        if row.group <= TEMPS:
            self.tick(group)
            return
        self.tick()
        while self.ticks[0] & 3 != 2:
            self.tick()

    def active(self, name: str) -> bool:
        return bool(self.bits[ID[name] >> 3] & 1 << (ID[name] & 7))

    def latched(self, name: str) -> bool:
        return bool(self.bits[8 + (ID[name] >> 3)] & 1 << (ID[name] & 7))

    def last(self) -> "tuple[int, ...]":
        """Fault, raised, value, limit, index and tick of the newest event."""
        events = self.monitor.events
        at = (events.head - 1) % Events.SIZE
        return (
            events.fault[at], events.raised[at], events.value[at],
            events.limit[at], events.index[at], events.tick[at],
        )  # fmt: skip


def levels(name: str, limit: str, clear: str) -> "tuple[int, int]":
    n = N_CELLS if name in PER_CELL else 1
    return LIMITS[limit] * n, LIMITS[clear] * n if clear else 0


def settled(name: str) -> Bench:
    bench = Bench()
    if name.startswith("charge_"):
        bench.current_ma = LIMITS["rest_current_ma"] + 1
    if name == "temperature_rise" or name == "thermal_runaway":
        bench.temp_dc[1] = RISE_FROM_DC
    bench.settle()
    bench.monitor.events.head = bench.monitor.events.tail = 0
    return bench


def test_every_row_is_told_here():
    told = [row[0] for row in UNDER_MEASUREMENT] + list(FLAGS) + list(LOST)
    assert sorted(told) == sorted(ID)


def test_a_row_trips_with_its_last_sample_beyond_the_limit_and_not_before():
    for name, side, limit, clear, samples in UNDER_MEASUREMENT:
        limit_at = levels(name, limit, clear)[0]
        bench = settled(name)
        for _ in range(samples - 1):
            bench.show(name, limit_at + side)
            assert not bench.active(name), name
        bench.show(name, limit_at)  # on the limit is not beyond it: counting starts anew
        for _ in range(samples - 1):
            bench.show(name, limit_at + side)
        assert not bench.active(name), name
        bench.show(name, limit_at + side)
        assert bench.active(name), name
        assert bench.latched(name) == (name not in PASSING), name


def test_a_row_clears_with_its_last_sample_inside_the_clear_level_and_not_before():
    for name, side, limit, clear, samples in UNDER_MEASUREMENT:
        limit_at, clear_at = levels(name, limit, clear)
        bench = settled(name)
        for _ in range(samples):
            bench.show(name, limit_at + side)
        for _ in range(samples - 1):
            bench.show(name, clear_at)
            assert bench.active(name), name
        bench.show(name, clear_at + side)
        for _ in range(samples - 1):
            bench.show(name, clear_at)
        assert bench.active(name), name
        bench.show(name, clear_at)
        assert not bench.active(name), name
        assert bench.latched(name) == (name not in PASSING), name


def test_any_count_above_none_raises_a_flag():
    for name in FLAGS:
        bench = settled(name)
        bench.show(name, 0)
        assert not bench.active(name), name
        bench.show(name, 1)
        assert bench.active(name), name
        assert bench.latched(name) == (name not in PASSING), name
        bench.show(name, 0)
        assert not bench.active(name), name


def test_what_a_row_asks_for_while_active_or_latched():
    for name in ID:
        bench = settled(name)
        assert bench.monitor.action == NO_ACTION
        bench.monitor.raise_now(ID[name])
        expected = DERATE if name in DERATING else OPEN_SOFT if name in SOFT else OPEN_NOW
        assert bench.monitor.action == expected, name
        assert bench.active(name) and bench.latched(name)
        assert bench.last() == (ID[name], 1, 1, 0, -1, bench.ticks[0])
        bench.monitor.active[ID[name] >> 3] = 0
        bench.monitor.decide()
        assert bench.monitor.action == expected, name
        bench.monitor.reset_latched()
        assert bench.monitor.action == NO_ACTION, name


def test_the_strongest_action_wins_whatever_the_order():
    for names in (("cell_imbalance", "isolation", "fast_lost"), ("fast_lost", "isolation", "cell_imbalance")):
        bench = settled("")
        for name in names:
            bench.monitor.raise_now(ID[name])
        assert bench.monitor.action == OPEN_NOW


def test_charging_rows_offend_only_above_the_rest_current_and_clear_at_any():
    for name, level_dc, clear_dc in (
        ("charge_over_temperature", LIMITS["charge_over_temp_dc"] + 1, LIMITS["charge_over_temp_clear_dc"]),
        (
            "charge_under_temperature",
            LIMITS["charge_under_temp_dc"] - 1,
            LIMITS["charge_under_temp_clear_dc"],
        ),
    ):
        for current_ma, trips in ((LIMITS["rest_current_ma"], False), (LIMITS["rest_current_ma"] + 1, True)):
            bench = settled("")
            bench.current_ma = current_ma
            bench.tick(FAST)
            for _ in range(30):
                bench.show(name, level_dc)
            assert bench.active(name) == trips, (name, current_ma)
            bench.current_ma = -1000
            bench.tick(FAST)
            for _ in range(20):
                bench.show(name, clear_dc)
            assert not bench.active(name)


def test_an_interruption_of_charging_starts_the_count_anew():
    name = "charge_over_temperature"
    bench = settled(name)
    for _ in range(19):
        bench.show(name, LIMITS["charge_over_temp_dc"] + 1)
    bench.current_ma = 0
    bench.tick(FAST)
    bench.show(name, LIMITS["charge_over_temp_dc"] + 1)
    bench.current_ma = 1000
    bench.tick(FAST)
    for n in range(20):
        assert not bench.active(name), n
        bench.show(name, LIMITS["charge_over_temp_dc"] + 1)
    assert bench.active(name)


def test_events_say_what_where_and_when():
    bench = settled("")
    bench.cell_mv = [3700, 3710, 3690, 3700]
    bench.tick(CELLS)
    for name, value, limit, index in (
        ("cell_over_voltage", LIMITS["cell_ov_mv"] + 7, "cell_ov_mv", 2),
        ("temp_sensor_open", LIMITS["temp_low_dc"] - 3, "temp_low_dc", 1),
        ("isolation", LIMITS["isolation_kohm"] - 1, "isolation_kohm", -1),
    ):
        while not bench.active(name):
            bench.show(name, value)
        assert bench.last() == (ID[name], 1, value, LIMITS[limit], index, bench.ticks[0])
    bench.sample.open_wire = 4
    while bench.ticks[0] & 3 != 2 or not bench.active("open_wire"):
        bench.tick()
    assert bench.last() == (ID["open_wire"], 1, 4, 0, 3, bench.ticks[0])
    bench.show("temp_sensor_open", 250)
    assert bench.last() == (ID["temp_sensor_open"], 0, 250, LIMITS["temp_low_dc"], 0, bench.ticks[0])


def test_cells_and_sensors_are_found_at_either_end():
    for name, value, at in (("cell_over_voltage", 4400, 0), ("cell_under_voltage", 1000, N_CELLS - 1)):
        bench = settled("")
        bench.cell_mv[at] = value
        bench.tick(CELLS)
        bench.tick(CELLS)
        events = bench.monitor.events
        assert (ID[name], at) in [(events.fault[n], events.index[n]) for n in range(events.head)], name
    for name, value in (("temp_sensor_open", -450), ("temp_sensor_short", 1250)):
        bench = settled("")
        bench.temp_dc[0] = value
        bench.tick(TEMPS)
        events = bench.monitor.events
        assert (ID[name], 0) in [(events.fault[n], events.index[n]) for n in range(events.head)], name


def test_a_group_is_lost_beyond_its_age_and_back_with_its_next_sample():
    for group in (FAST, CELLS, TEMPS):
        name = LOST[group]
        others = [other for other in (FAST, CELLS, TEMPS) if other != group]
        bench = settled("")
        ticks = LIMITS[name + "_ms"] // 5
        while (
            bench.ticks[0] + 1 + ticks & 3 != 2
        ):  # so that the row is looked at when it is as old as allowed
            bench.tick(FAST, CELLS, TEMPS)
        bench.tick(FAST, CELLS, TEMPS)
        for n in range(ticks + 4):
            assert not bench.active(name), name
            assert bench.monitor.measure.get(name[:-5] + "_age_ms") == 5 * n
            bench.tick(*others)
        assert bench.active(name), name
        assert not any(bench.active(LOST[other]) for other in others)
        bench.tick(group)
        assert bench.monitor.measure.get(name[:-5] + "_age_ms") == 0
        for _ in range(4):
            bench.tick(FAST, CELLS, TEMPS)
        assert not bench.active(name)
        assert not bench.latched(name)


def test_a_front_end_may_take_two_seconds_to_wake():
    bench = Bench()
    for group in (FAST, CELLS, TEMPS):
        name = LOST[group]
        bench = Bench()
        for _ in range((WAKE_MS + LIMITS[name + "_ms"]) // 5):
            bench.tick()
        assert not bench.active(name), name
        for _ in range(5):
            bench.tick()
        assert bench.active(name), name


def test_an_age_saturates_at_a_minute():
    bench = settled("")
    for _ in range(5):
        bench.tick(elapsed_ms=20_000)
    assert bench.monitor.measure.get("fast_age_ms") == 60_000
    bench.tick(elapsed_ms=20_000)
    assert bench.monitor.measure.get("fast_age_ms") == 60_000


def test_the_pack_is_proven_with_enough_samples_of_every_group():
    for short in (FAST, CELLS, TEMPS):
        needed = [10, 5, 3]
        bench = Bench()
        needed[short] -= 1
        for n in range(10):
            bench.tick(*[group for group in (FAST, CELLS, TEMPS) if n < needed[group]])
        assert not bench.monitor.proven, short
        bench.tick(short)
        assert bench.monitor.proven, short


def test_a_trip_undoes_the_proof_and_a_derating_does_not():
    for name, cell_mv, proven in (("cell_over_voltage", 4400, False), ("cell_imbalance", 3100, True)):
        bench = settled("")
        assert bench.monitor.proven
        bench.cell_mv[3] = cell_mv
        bench.pack_mv = sum(bench.cell_mv)
        while not bench.active(name):
            bench.current_ma ^= 1  # a current that stands still while the pack moves is a row of its own
            bench.tick(FAST, CELLS, TEMPS)
        bench.tick()
        assert bench.monitor.proven == proven, name
    bench = settled("")
    bench.show("tick_overrun", LIMITS["tick_late_ms"] + 1)
    bench.tick()
    assert not bench.monitor.proven
    for _ in range(4):
        bench.tick()
    assert not bench.active("tick_overrun")
    for n in range(10):
        assert not bench.monitor.proven, n
        bench.tick(FAST, CELLS, TEMPS)
    assert bench.monitor.proven


def test_the_longest_tick_since_the_rows_were_looked_at_is_what_counts():
    bench = settled("")
    while bench.ticks[0] & 3 != 2:
        bench.tick()
    bench.tick(elapsed_ms=40)
    bench.tick(elapsed_ms=30)
    assert bench.monitor.measure.get("tick_ms") == 40
    bench.tick()
    bench.tick()
    assert bench.monitor.measure.get("tick_ms") == 0
    bench.tick()
    assert bench.monitor.measure.get("tick_ms") == 5


def test_the_supervisor_watches_with_every_fresh_current_and_only_then():
    bench = settled("")
    del bench.watched[:]
    bench.tick(FAST, elapsed_ms=7)
    bench.tick(CELLS, TEMPS)
    bench.tick(FAST, CELLS, elapsed_ms=9)
    assert bench.watched == [7, 9]


def test_a_reset_forgets_what_is_over_and_flags_that_only_the_controller_knows():
    bench = settled("")
    for name in ("contactor_welded", "nvm_corrupt"):
        bench.show(name, 1)
    for _ in range(2):
        bench.show("cell_over_voltage", 4400)
    for _ in range(5):
        bench.show("isolation", 50)
    for _ in range(5):
        bench.show("isolation", 1000)
    bench.monitor.reset_latched()
    for name, left in (
        ("contactor_welded", False), ("nvm_corrupt", False), ("isolation", False),
        ("cell_over_voltage", True),
    ):  # fmt: skip
        assert bench.active(name) == left, name
        assert bench.latched(name) == left, name
    assert bench.monitor.measure.get("welded") == bench.monitor.measure.get("nvm_corrupt") == 0
    assert bench.monitor.action == OPEN_NOW


def test_a_reset_keeps_what_clears_by_itself():
    bench = settled("")
    bench.show("watchdog_reset", 1)
    bench.monitor.reset_latched()
    assert bench.active("watchdog_reset")
    assert bench.monitor.measure.get("watchdog_reset") == 1


def test_latched_rows_of_the_boot_before_act_at_once():
    for name in ("isolation", "cell_over_voltage", "internal_short"):
        bitmap = bytearray(8)
        bitmap[ID[name] >> 3] = 1 << (ID[name] & 7)
        bench = Bench()
        bench.monitor.latch(bitmap)
        bench.monitor.latch(bytes(8))
        assert [other for other in ID if bench.latched(other)] == [name]
        assert not bench.active(name)
        assert bench.monitor.action == (OPEN_NOW if name == "cell_over_voltage" else OPEN_SOFT)


def test_a_full_ring_keeps_the_old_events_and_counts_the_new():
    events = Events()
    for n in range(Events.SIZE + 2):
        events.put(n, n & 1, 10 * n, 20 * n, n - 1, 30 * n)
    assert events.lost == 3
    kept = Events.SIZE - 1
    assert (events.head - events.tail) % Events.SIZE == kept
    for n in range(kept):
        assert (events.fault[n], events.raised[n]) == (n, n & 1)
        assert (events.value[n], events.limit[n], events.index[n], events.tick[n]) == (
            10 * n,
            20 * n,
            n - 1,
            30 * n,
        )
    events.tail = 1
    events.put(99, 1, 0, 0, 0, 0)
    assert (events.head, events.fault[kept], events.lost) == (0, 99, 3)


def test_a_level_is_per_cell_where_the_row_says_so():
    for row in FAULTS:
        if row.limit:
            n = 12 if row.name in PER_CELL else 1
            assert level(row, row.limit, LIMITS, 12) == n * LIMITS[row.limit]
        else:
            assert level(row, row.limit, LIMITS, 12) == 0


def test_enumerations_are_places_in_their_lists_and_actions_grow_stronger():
    assert [faults.ACTIONS[n] for n in (DERATE, OPEN_SOFT, OPEN_NOW)] == ["derate", "open_soft", "open_now"]
    assert [faults.GROUPS[n] for n in (FAST, CELLS, TEMPS, faults.SELF)] == ["fast", "cells", "temps", "self"]
    assert [faults.LATCHES[n] for n in (faults.SELF_CLEARING, LATCHED)] == ["self-clearing", "latched"]
    assert [faults.WHENS[n] for n in (faults.ALWAYS, faults.CHARGING)] == ["always", "while charging"]
    assert (faults.ABOVE, faults.BELOW) == (0, 1)
    assert PERIOD_MS == (5, 20, 100, 20)


def test_signals_are_named_once():
    assert len(SIGNALS) == len(set(SIGNALS))
