"""Every row of the fault table: what trips it, inside its contract, and what does not."""

from bms.safety.contactor import CLOSE
from bms.sample import TICK_MS
from bms.tables.faults import FAULTS, LATCHED, OPEN_SOFT
from bms.tables.params import NMC, defaults
from bms.tables.signals import CLOSED, GATE_NEGATIVE, GATE_POSITIVE, TRIPPED
from rigless import String

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROW = {row.name: row for row in FAULTS}
LIMITS = defaults(NMC)
WARM_DC = 250


def closed(temp_dc: int = WARM_DC, current_ma: int = 0) -> String:
    string = String()
    string.temp_dc = [temp_dc, temp_dc]
    string.current_ma = current_ma
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 1000) > 0
    string.run(650)  # the window of the rises is full
    while string.tick_n % 20:
        string.tick()
    assert string.kernel.contactor.state == CLOSED
    return string


def trips(
    name: str, string: String, every_tick: "Callable[[], None] | None" = None, extra_ms: int = 0
) -> None:
    """The row must be the first to trip and act inside its contract, counted from the next tick on."""
    row = ROW[name]
    ticks = 0
    while not (string.active(row.id) or string.latched(row.id)):
        if every_tick:
            every_tick()
        string.tick()
        ticks += 1
        assert ticks * TICK_MS <= row.max_reaction_ms + extra_ms, name
    first = string.kernel.monitor.events
    assert FAULTS[first.fault[0]].name == name, (name, FAULTS[first.fault[0]].name)
    assert string.latched(row.id) == (row.latch == LATCHED)
    if row.action < OPEN_SOFT:
        assert string.kernel.contactor.state == CLOSED
        return
    while string.gate.bits:
        string.tick()
        ticks += 1
        assert ticks * TICK_MS <= row.max_reaction_ms + extra_ms, name


def test_pack_voltage_limits_are_per_cell():
    for name, pack_mv in (
        ("pack_over_voltage", 4 * LIMITS["pack_ov_cell_mv"] + 1),
        ("pack_under_voltage", 4 * LIMITS["pack_uv_cell_mv"] - 1),
    ):
        string = closed()
        string.cell_mv = [pack_mv // 4 + (pack_mv % 4 > i) for i in range(4)]
        trips(name, string)


def test_lasting_currents():
    for name, current_ma in (
        ("charge_overload", LIMITS["charge_overload_ma"] + 1),
        ("discharge_overload", LIMITS["discharge_overload_ma"] - 1),
    ):
        string = closed()
        string.current_ma = current_ma
        trips(name, string)


def test_charging_hot_and_cold_but_not_discharging():
    for name, temp_dc in (
        ("charge_over_temperature", LIMITS["charge_over_temp_dc"] + 1),
        ("charge_under_temperature", LIMITS["charge_under_temp_dc"] - 1),
    ):
        string = closed(temp_dc)
        string.current_ma = -5000
        string.run(600)
        assert string.kernel.contactor.state == CLOSED
        string.current_ma = 5000
        trips(name, string)
        string.run(600)  # no current flows now: the pack is as cold as before, so the row stays
        assert string.active(ROW[name].id)


def test_sum_of_cells_against_the_pack():
    string = closed()
    string.pack_error_mv = 4 * LIMITS["sum_error_cell_mv"] + 2
    trips("sum_of_cells", string)


def test_imbalance_only_derates():
    string = closed()
    string.cell_mv[0] += LIMITS["imbalance_mv"] + 5
    trips("cell_imbalance", string)
    string.cell_mv[0] = 3700
    string.run(2100)
    assert not string.active(ROW["cell_imbalance"].id)


def test_an_open_wire():
    string = closed()
    string.open_wire = True
    trips("open_wire", string)
    assert string.kernel.monitor.events.index[0] == 1


def test_frozen_cells_under_a_moving_current():
    string = closed()
    string.frozen = "cells"
    string.run(400)
    assert string.kernel.contactor.state == CLOSED  # at rest equal readings are no wonder
    string.current_ma = -LIMITS["frozen_step_ma"] - 2
    trips("cells_frozen", string)


def test_a_frozen_current_under_a_moving_voltage():
    string = closed()
    string.frozen = "current"
    string.run(400)
    assert string.kernel.contactor.state == CLOSED
    string.cell_mv = [mv - LIMITS["frozen_step_cell_mv"] - 1 for mv in string.cell_mv]
    trips("current_frozen", string)


def test_sensors_open_and_short():
    for name, temp_dc in (
        ("temp_sensor_open", LIMITS["temp_low_dc"] - 1),
        ("temp_sensor_short", LIMITS["temp_high_dc"] + 1),
    ):
        string = closed()
        string.temp_dc[1] = temp_dc
        trips(name, string)


def test_a_fast_rise():
    string = closed()

    def warm() -> None:
        if string.tick_n % 20 == 0:
            string.temp_dc[0] += 1  # 1 K/s

    trips("temperature_rise", string, warm)


def test_a_thermal_runaway_with_the_voltage_collapsing():
    string = closed()

    def run_away() -> None:
        if string.tick_n % 10 == 0:
            string.temp_dc[0] += 1  # 2 K/s
        string.cell_mv[0] = 3700 * 7 // 10

    row = ROW["thermal_runaway"]
    for _ in range(row.max_reaction_ms // TICK_MS):
        run_away()
        string.tick()
        if string.active(row.id):
            assert string.gate.bits == 0
            return
    raise AssertionError("no runaway found")


def test_a_thermal_runaway_above_the_limit_opens_at_once():
    string = closed(LIMITS["over_temp_dc"] - 20)
    string.current_ma = -5000
    for _ in range(ROW["thermal_runaway"].max_reaction_ms // TICK_MS):
        if string.tick_n % 20 == 0:
            string.temp_dc[0] += 1
        string.tick()
        if string.active(ROW["thermal_runaway"].id):
            assert string.gate.bits == 0
            return
    raise AssertionError("no runaway found")


def test_isolation():
    string = closed()
    string.isolation_kohm = LIMITS["isolation_kohm"] - 1
    trips("isolation", string)


def test_refused_messages():
    string = closed()
    string.noise = b"\x05\x01\x00"
    trips("afe_error", string)
    string.noise = b""
    string.run(500)
    assert not string.active(ROW["afe_error"].id)


def test_a_welded_contactor_is_found_after_opening_and_blocks_closing():
    for bits in (GATE_NEGATIVE, GATE_POSITIVE, GATE_NEGATIVE | GATE_POSITIVE):
        string = closed()
        string.welded = bits
        string.run(200)
        string.kernel.contactor.wanted = False
        trips("contactor_welded", string)
        string.kernel.contactor.wanted = True
        string.run(1000)
        assert string.gate.bits == 0


def test_a_link_that_stays_up_is_a_weld_whatever_the_feedback_says():
    string = closed()
    string.link_held = True
    string.kernel.contactor.wanted = False
    trips("contactor_welded", string)


def test_a_contactor_that_does_not_close():
    string = String()
    string.stuck_open = GATE_POSITIVE
    assert string.until(lambda: string.active(ROW["contactor_not_closing"].id), 2000) > 0
    string.run(2)
    assert string.gate.bits == 0


def test_a_contactor_that_falls_open():
    string = closed()
    string.stuck_open = GATE_NEGATIVE
    trips("contactor_not_closing", string)


def test_precharge_is_tried_three_times_with_a_pause():
    string = String()
    string.link_shorted = True
    tries = 0
    before = 0
    for _ in range(12_000):
        string.tick()
        if string.gate.bits == 3 and before == 0:
            tries += 1
        before = string.gate.bits
        if string.latched(ROW["precharge_failed"].id):
            break
    assert tries == LIMITS["precharge_tries"]
    string.run(4000)
    assert string.gate.bits == 0
    assert string.kernel.contactor.state == TRIPPED


def test_a_slow_link_is_not_closed_upon():
    string = String()
    string.precharge_mv = 400  # 20 mV a millisecond: still steep when it is nearly up
    seen: "list[int]" = []
    for _ in range(2000):
        string.tick()
        seen.append(string.gate.bits)
    first = seen.index(5)
    assert seen.count(3) >= 8
    assert 5 not in seen[:first]


def test_flags_that_the_application_raises():
    for name, signal in (
        ("nvm_corrupt", "nvm_corrupt"),
        ("watchdog_reset", "watchdog_reset"),
        ("brownout_reset", "brownout_reset"),
    ):
        string = closed()
        string.kernel.monitor.measure.put(signal, 1)
        trips(name, string)


def test_self_discharge():
    string = closed()
    string.kernel.monitor.measure.put("self_discharge_ma", LIMITS["self_discharge_ma"] + 1)
    trips("internal_short", string)


def test_tasks_that_hang_and_come_back():
    string = closed()
    string.idle = True
    trips("task_overrun", string)
    string.idle = False
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 1000) > 0


def test_a_late_tick():
    string = closed()
    string.clock.late_ms = LIMITS["tick_late_ms"]
    string.tick()
    trips("tick_overrun", string)


def test_wishes_do_not_close_a_tripped_pack():
    string = closed()
    string.cell_mv[0] = LIMITS["cell_ov_mv"] + 5
    trips("cell_over_voltage", string)
    assert string.kernel.contactor.wish[0] == CLOSE
    string.run(1000)
    assert string.gate.bits == 0
