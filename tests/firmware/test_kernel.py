"""The safety tick as a whole: closing, tripping inside the contract, silence, clearing, handover."""

import gc

import micropython
from bms.link.frame import ACTUATE, HEADER, Reader
from bms.safety.contactor import PAUSE_MS
from bms.safety.monitor import NO_ACTION
from bms.sample import TICK_MS
from bms.tables.faults import FAULTS, LATCHED
from bms.tables.params import LFP, NCA, NMC, defaults
from bms.tables.signals import BOOT, CLOSED, OPEN, OPENING, PRECHARGE, TRIPPED
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
        assert string.snapshot.charge_ma_ms == (2**29 - 1 if current_ma > 0 else -(2**29))


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


def sent_ms(string: String) -> int:
    """Device time of the ACTUATE frame that the last tick wrote."""
    reader = Reader()
    line = string.line
    reader.feed(line.sent, 0, line.n_sent)
    assert reader.kind == ACTUATE and reader.size == HEADER + 44
    raw = reader.raw
    return raw[4] | raw[5] << 8 | raw[6] << 16 | raw[7] << 24


def test_device_time_counts_what_the_clock_says_and_wraps_at_32_bits():
    string = String()
    string.tick()
    assert sent_ms(string) == TICK_MS
    string.clock.late_ms = 7
    string.tick()
    assert sent_ms(string) == 2 * TICK_MS + 7
    for before in (0xFFFB, 0xFFFA, 0x1FFFF, 0xFFFF_FFFB, 0xFFFF_FFFA):
        words = string.kernel.words
        words[6] = before & 0xFFFF
        words[7] = before >> 16
        string.tick()
        assert sent_ms(string) == (before + TICK_MS) & 0xFFFF_FFFF


def test_the_tick_counter_is_told_byte_by_byte_and_wraps_at_30_bits():
    string = String()
    for before in (0, 0xFE, 0xFF, 0xFFFF, 0xFF_FFFF, 0x0102_0304, 0x3FFF_FFFE, 0x3FFF_FFFF):
        string.kernel.words[0] = before
        string.tick()
        assert string.command.tick == string.kernel.tick_n() == (before + 1) & 0x3FFF_FFFF


def test_a_period_has_as_many_ticks_as_was_asked_for():
    string = String()
    string.idle = True
    at: "list[int]" = []
    for n in range(1, 101):
        string.tick()
        if string.kernel.due:
            at.append(n)
            string.kernel.take()
            assert string.snapshot.tick == n
            string.kernel.done()
            assert not string.kernel.due
    assert at == [20, 40, 60, 80, 100]


def to_period(string: String, after: int = 0) -> None:
    """Up to the tick that ends a period, or so many ticks after it."""
    while string.kernel.tick_n() % 20 != after:
        string.tick()


def test_charge_is_current_times_what_went_by_and_never_more_than_one_late_tick():
    for current_ma in (3000, -3000):
        for late_ms, counted_ms in ((0, 5), (115, 120), (116, 120), (500, 120)):
            string = closed()
            string.frozen = "current"
            string.current_ma = current_ma
            string.run(5)
            to_period(string)
            string.run(19)
            string.clock.late_ms = late_ms
            string.tick()
            assert string.snapshot.charge_ma_ms == current_ma * (19 * TICK_MS + counted_ms), late_ms


def test_a_current_that_did_not_come_is_no_charge():
    string = closed()
    string.frozen = "current"
    string.current_ma = 1000
    string.run(20)
    to_period(string)
    string.run(10)
    string.send_fast = False
    string.run(2)
    string.send_fast = True
    string.idle = True
    string.run(8)
    string.kernel.take()
    assert string.snapshot.charge_ma_ms == 1000 * 18 * TICK_MS


def test_a_snapshot_is_what_was_measured_last():
    string = closed()
    string.frozen = "current"
    string.cell_mv = [3701, 3702, 3699, 3700]
    string.temp_dc = [-30, 251]
    string.isolation_kohm = 777
    string.current_ma = -1234
    to_period(string)
    string.run(39)
    string.idle = True
    string.tick()
    string.kernel.take()
    shot = string.snapshot
    assert (shot.current_ma, shot.pack_mv, shot.link_mv) == (-1234, 14_802, 14_802)
    assert (shot.cell_max_mv, shot.cell_min_mv) == (max(shot.cell_mv), min(shot.cell_mv)) == (3702, 3699)
    assert (shot.temp_max_dc, shot.temp_min_dc, list(shot.temp_dc)) == (251, -30, [-30, 251])
    assert shot.isolation_kohm == 777
    assert (shot.gates, shot.state, shot.proven) == (5, CLOSED, True)
    assert shot.fast_known and shot.cells_known and shot.temps_known
    assert bytes(shot.faults) == bytes(8)


def test_a_snapshot_stands_until_the_task_is_done_with_it():
    string = closed()
    to_period(string, 1)
    string.idle = True
    string.run(19)
    string.isolation_kohm = 555
    string.run(60)
    string.kernel.take()
    assert string.snapshot.isolation_kohm == 1000
    assert string.kernel.monitor.measure.get("late_periods") == 3
    string.kernel.done()
    string.run(20)
    string.kernel.take()
    assert string.snapshot.isolation_kohm == 555
    assert string.kernel.monitor.measure.get("late_periods") == 0


def test_a_group_is_known_as_long_as_it_is_not_lost():
    for group in ("fast", "cells", "temps"):
        string = closed()
        row = FAULTS[ID[group + "_lost"]]
        to_period(string)
        setattr(string, "send_" + group, False)
        seen: "list[tuple[bool, bool]]" = []
        for _ in range(4):
            string.run(20)
            shot = string.snapshot
            known = {"fast": shot.fast_known, "cells": shot.cells_known, "temps": shot.temps_known}
            age_ms = string.kernel.monitor.measure.get(group + "_age_ms")
            assert known[group] == (age_ms <= defaults(NMC)[row.limit]), (group, age_ms)
            del known[group]
            assert all(known.values())
            seen.append((known != {}, bool(shot.faults[0] & 1 << row.id)))
        assert seen[-1] == (True, True)
    string = String()
    string.run(20)
    assert string.snapshot.fast_known
    string = String()
    string.send_fast = False
    string.run(20)
    assert not string.snapshot.fast_known  # nothing has come yet


def test_gates_state_requests_and_faults_are_told():
    string = closed()
    body = string.command.body
    string.current_ma = -5000
    string.run(3)
    assert (body[4], body[5], body[7]) == (5, CLOSED, 0)
    string.kernel.contactor.wanted = False
    string.tick()
    assert (body[4], body[5], body[7]) == (5, OPENING, 1)
    string.run(PAUSE_MS // TICK_MS)
    assert (body[4], body[7]) == (0, 0)
    for name in ("fast_lost", "internal_short", "isolation"):
        string.kernel.monitor.raise_now(ID[name])
        string.kernel.guard.keep()
        string.tick()
    for name in ("internal_short", "isolation"):
        assert string.command.bits[8 + (ID[name] >> 3)] & 1 << (ID[name] & 7), name
    assert bytes(string.command.bits) == bytes(string.kernel.monitor.bits)


def test_the_estimate_is_told_from_the_period_after_the_one_it_was_made_in():
    string = closed()
    to_period(string, 1)
    string.idle = True
    string.run(19)
    string.kernel.take()
    string.estimate.pump_pct = 42
    string.estimate.soc_cpct = 4321
    string.estimate.next_seq = 0x01020304
    string.kernel.done()
    body = string.command.body
    string.run(19)
    assert body[6] == 0
    string.tick()
    assert body[6] == 42
    assert body[8] | body[9] << 8 == 4321
    assert bytes(body[20:24]) == b"\x04\x03\x02\x01"


def test_refused_messages_are_counted_over_a_second():
    string = closed()
    string.until(lambda: string.kernel.tick_n() % 200 == 1, 400)
    string.noise = b"\x05\x01\x00"
    string.run(9)
    string.noise = b""
    seen: "list[int]" = []
    for _ in range(500):
        string.tick()
        seen.append(string.kernel.monitor.measure.get("link_errors"))
    assert max(seen) == 9
    assert sum(1 for n in seen if n == 9) == 200
    assert seen[-1] == 0
