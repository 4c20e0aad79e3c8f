"""The safety tick as a whole: closing, tripping inside the contract, silence, clearing, handover."""

import gc

import micropython
from bms.safety.contactor import PAUSE_MS
from bms.safety.monitor import NO_ACTION
from bms.sample import TICK_MS
from bms.tables.faults import FAULTS, LATCHED
from bms.tables.params import LFP, NCA, NMC, defaults
from bms.tables.signals import BOOT, CLOSED, OPEN, PRECHARGE, TRIPPED
from rigless import String

ID = {row.name: row.id for row in FAULTS}


def closed(chemistry: int = NMC, temp_dc: int = 250) -> String:
    string = String(chemistry=chemistry)
    string.temp_dc = [temp_dc, temp_dc]
    if chemistry == LFP:
        string.cell_mv = [3300] * 4
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 1000) > 0
    return string


def reaction_ms(string: String, fault: str) -> int:
    """From now until the gates are open; the row must have tripped."""
    ticks = string.until(lambda: string.gate.bits == 0, 400)
    assert ticks >= 0, fault
    assert string.active(ID[fault]) or string.latched(ID[fault]), fault
    return ticks * TICK_MS


def bound_ms(fault: str) -> int:
    return FAULTS[ID[fault]].max_reaction_ms


def test_boots_open_and_closes_after_proof():
    string = String()
    string.run(5)
    assert string.kernel.contactor.state == BOOT
    assert string.gate.bits == 0
    assert string.until(lambda: string.kernel.contactor.state == OPEN, 100) > 0
    assert string.until(lambda: string.kernel.contactor.state == PRECHARGE, 2 * PAUSE_MS // TICK_MS) > 0
    assert string.gate.bits == 3
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 100) > 0
    assert string.gate.bits == 5


def test_over_voltage_opens_inside_its_bound_at_any_phase():
    for phase in range(4):
        string = closed()
        string.run(phase)
        string.cell_mv[2] = defaults(NMC)["cell_ov_mv"] + 1
        assert reaction_ms(string, "cell_over_voltage") <= bound_ms("cell_over_voltage")
        events = string.kernel.monitor.events
        assert (events.fault[0], events.raised[0], events.index[0]) == (ID["cell_over_voltage"], 1, 2)
        assert events.value[0] == defaults(NMC)["cell_ov_mv"] + 1


def test_at_the_limit_nothing_trips():
    limits = defaults(NMC)
    string = closed()
    string.cell_mv[0] = limits["cell_ov_mv"]
    string.cell_mv[1] = limits["cell_uv_mv"]
    string.current_ma = limits["charge_oc_ma"] - 1  # and 1 mA of noise
    string.run(150)
    string.current_ma = limits["discharge_oc_ma"] + 1
    string.run(150)
    assert string.kernel.contactor.state == CLOSED
    for name in ("over_temp_dc", "under_temp_dc"):
        string = closed(temp_dc=limits[name])
        string.run(200)
        assert string.kernel.contactor.state == CLOSED


def test_every_chemistry_trips_at_its_own_voltages():
    for chemistry in (NMC, NCA, LFP):
        limits = defaults(chemistry)
        for fault, cell_mv in (
            ("cell_over_voltage", limits["cell_ov_mv"] + 1),
            ("cell_under_voltage", limits["cell_uv_mv"] - 1),
        ):
            string = closed(chemistry)
            string.cell_mv[2] = cell_mv
            assert reaction_ms(string, fault) <= bound_ms(fault)


def test_over_current_opens_inside_its_bound_both_ways():
    limits = defaults(NMC)
    for fault, current_ma in (
        ("charge_over_current", limits["charge_oc_ma"] + 1),
        ("discharge_over_current", limits["discharge_oc_ma"] - 1),
    ):
        string = closed()
        string.current_ma = current_ma
        assert reaction_ms(string, fault) <= bound_ms(fault)


def test_one_offending_sample_is_not_enough():
    string = closed()
    string.current_ma = 400_000
    string.tick()
    string.current_ma = 0
    string.run(20)
    assert string.kernel.contactor.state == CLOSED


def test_temperatures_open_softly_inside_their_bound():
    limits = defaults(NMC)
    for fault, temp_dc in (
        ("over_temperature", limits["over_temp_dc"] + 1),
        ("under_temperature", limits["under_temp_dc"] - 1),
    ):
        string = closed(temp_dc=temp_dc - 1 if temp_dc > 0 else temp_dc + 1)
        string.current_ma = -5000
        string.temp_dc[1] = temp_dc
        assert reaction_ms(string, fault) <= bound_ms(fault)


def test_soft_opening_does_not_wait_when_no_current_flows():
    hot_dc = defaults(NMC)["over_temp_dc"]
    with_current = closed(temp_dc=hot_dc)
    without = closed(temp_dc=hot_dc)
    for string in (with_current, without):
        string.temp_dc[0] += 1
    with_current.current_ma = -5000
    slow = reaction_ms(with_current, "over_temperature")
    fast = reaction_ms(without, "over_temperature")
    assert slow - fast >= 400


def test_silence_of_each_group_opens_inside_its_bound():
    for group in ("fast", "cells", "temps"):
        string = closed()
        while string.tick_n % 20:  # until all three are due
            string.tick()
        setattr(string, "send_" + group, False)
        assert reaction_ms(string, group + "_lost") <= bound_ms(group + "_lost")


def test_bad_quality_counts_as_silence():
    string = closed()
    string.send_fast = False
    for _ in range(30):
        string.line.load(string.feed.fast(0, 14_800, 14_800, quality=1) + string.frames())
        string.tick_n += 1
        string.kernel.tick(0)
    assert string.active(ID["fast_lost"])


def test_unknown_never_clears_a_trip():
    string = closed()
    string.cell_mv[0] = 4400
    assert reaction_ms(string, "cell_over_voltage") >= 0
    string.cell_mv[0] = 3700
    string.send_cells = False
    string.run(200)
    assert string.active(ID["cell_over_voltage"])


def test_clears_only_below_the_clear_level_and_stays_latched():
    limits = defaults(NMC)
    string = closed()
    string.cell_mv[0] = limits["cell_ov_mv"] + 50
    assert reaction_ms(string, "cell_over_voltage") >= 0
    string.cell_mv[0] = limits["cell_ov_clear_mv"] + 1
    string.run(100)
    assert string.active(ID["cell_over_voltage"])
    string.cell_mv[0] = limits["cell_ov_clear_mv"]
    string.run(100)
    assert not string.active(ID["cell_over_voltage"])
    assert FAULTS[ID["cell_over_voltage"]].latch == LATCHED
    assert string.latched(ID["cell_over_voltage"])
    string.run(600)
    assert string.kernel.contactor.state == TRIPPED
    string.kernel.ask_reset()
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 1000) > 0


def test_reset_does_not_forget_an_active_fault():
    string = closed()
    string.cell_mv[0] = 4400
    assert reaction_ms(string, "cell_over_voltage") >= 0
    string.kernel.ask_reset()
    string.run(600)
    assert string.kernel.contactor.state == TRIPPED


def test_returns_by_itself_after_lost_data():
    string = closed()
    string.send_cells = False
    assert reaction_ms(string, "cells_lost") >= 0
    string.send_cells = True
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 1000) > PAUSE_MS // TICK_MS


def test_no_front_end_at_all_never_closes_and_says_so():
    string = String()
    string.send_fast = string.send_cells = string.send_temps = False
    string.run(600)
    assert string.gate.bits == 0
    for group in ("fast", "cells", "temps"):
        assert string.active(ID[group + "_lost"])


def test_handover_sums_the_charge_and_counts_overruns():
    string = closed()
    kernel = string.kernel
    string.until(lambda: kernel.due, 40)
    string.idle = True
    string.current_ma = -1000
    assert string.until(lambda: kernel.due, 40) >= 0
    before = kernel.overruns
    string.run(20)  # nobody took the snapshot: the next period is an overrun
    assert kernel.overruns == before + 1
    kernel.done()
    string.run(20)
    kernel.take()
    # two periods are in it, the one that was missed and this one
    assert string.snapshot.charge_ma_ms == -1000 * 2 * 100 - 20 * TICK_MS


def test_tick_allocates_nothing():
    string = closed()
    frames: "list[bytes]" = []
    for n in range(40):
        if n == 30:
            string.cell_mv[1] = 4400
        frames.append(string.frames())
        string.tick_n += 1
    gc.collect()
    line = string.line
    kernel = string.kernel
    for data in frames:
        line.load(data)
        micropython.heap_lock()
        try:
            kernel.tick(0)
        finally:
            micropython.heap_unlock()
    assert string.active(ID["cell_over_voltage"])


def test_a_charge_beyond_all_measure_saturates_both_ways():
    for current_ma in (4_000_000, -4_000_000):
        string = closed()
        string.welded = 5  # it flows whatever the gates say
        string.idle = True
        string.current_ma = current_ma
        string.run(100)
        string.kernel.done()
        string.run(20)
        string.kernel.take()
        assert abs(string.snapshot.charge_ma_ms) >= 2**29 - 1
        assert (string.snapshot.charge_ma_ms > 0) == (current_ma > 0)


def test_times_beyond_all_measure_saturate():
    string = closed()
    string.send_cells = False
    for _ in range(3):
        string.clock.late_ms = 2_000_000
        string.tick()
    string.run(4)
    assert string.gate.bits == 0
    assert string.active(ID["cells_lost"])
    assert string.active(ID["tick_overrun"])


def test_what_the_kernel_says_of_itself():
    string = closed()
    assert string.kernel.monitor.proven
    assert string.kernel.monitor.action == NO_ACTION
    assert string.kernel.monitor.measure.get("pack_mv") == sum(string.cell_mv)
    assert string.kernel.contactor.wanted
    assert string.kernel.contactor.gates == string.gate.bits == string.command.gates
    assert string.command.state == string.kernel.contactor.state
    assert string.kernel.tick_n() == string.command.tick == string.tick_n
