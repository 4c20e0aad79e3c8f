"""The supervisor's states one by one: what leaves them, to the millisecond and to the millivolt."""

import struct
from array import array

from bms.safety.contactor import CLOSE, PAUSE_MS, SOFT_MS, Contactor
from bms.safety.monitor import AGE, PROVEN, STRONGEST, WAKE_MS, Monitor
from bms.sample import Sample
from bms.tables.faults import DERATE, OPEN_NOW, OPEN_SOFT
from bms.tables.params import NMC, defaults
from bms.tables.signals import (
    BOOT,
    CLOSED,
    COOL_DOWN,
    GATE_NEGATIVE,
    GATE_POSITIVE,
    GATE_PRECHARGE,
    OPEN,
    OPENING,
    PRECHARGE,
    STATES,
    TRIPPED,
    WELD_TEST,
)

LIMITS = defaults(NMC)
REST_MA = LIMITS["rest_current_ma"]
PACK_MV = 100_000
UP_MV = PACK_MV * LIMITS["precharge_pct"] // 100
WELDED_MV = PACK_MV * LIMITS["weld_link_pct"] // 100
CLOSED_GATES = GATE_NEGATIVE | GATE_POSITIVE
GATES_OF = {PRECHARGE: GATE_NEGATIVE | GATE_PRECHARGE, CLOSED: CLOSED_GATES, OPENING: CLOSED_GATES}
NOTHING = -1  # asked for by the protections


class Bench:
    """A supervisor alone: what it hears of the pack and of the monitor is put there by hand."""

    def __init__(self) -> None:
        self.sample = Sample(4, 2)
        self._told = bytearray(Monitor.BYTES)
        bits = memoryview(bytearray(16))
        self.monitor = Monitor(LIMITS, self.sample, memoryview(self._told), bits, array("i", [0]))
        self.memory = bytearray(Contactor.BYTES)
        self.contactor = Contactor(LIMITS, memoryview(self.memory))
        values = self.monitor.measure.values
        self._watch = self.contactor.watch(self.sample, values)
        self.step = self.contactor.step(self.sample, self.monitor)
        self.contactor.wanted = True
        self.link_mv = 0
        self.pack_mv = PACK_MV
        self.extra = self.missing = 0  # feedback bits
        self.deaf = False  # no FAST samples
        self.tell(NOTHING)
        self.current_ma = 0

    def tell(self, action: int, proven: bool = True, age_ms: int = 0) -> None:
        """What the monitor says."""
        for at, value in ((STRONGEST, action + 1), (PROVEN, int(proven)), (AGE, age_ms + WAKE_MS)):
            struct.pack_into("<i", self._told, 4 * at, value)

    def tick(self, ms: int = 1) -> int:
        """Returns the state after it."""
        self.monitor.measure.put("current_ma", self.current_ma)
        if not self.deaf:
            feedback = self.contactor.gates & ~self.missing | self.extra
            self.sample.put_fast(self.current_ma, self.pack_mv, self.link_mv, feedback)
            self._watch(ms)
        do = self.step(ms)
        assert do >> 8 == self.contactor.state
        assert do & 255 == self.contactor.gates == GATES_OF.get(do >> 8, 0)
        return do >> 8

    def run(self, ms: int) -> int:
        """So long in steps of a tick; returns the state after it."""
        while ms > 5:
            self.tick(5)
            ms -= 5
        return self.tick(ms)

    def word(self, at: int) -> int:
        """Of the supervisor's state."""
        return struct.unpack_from("<i", self.memory, 4 * at)[0]

    def flag(self, name: str) -> int:
        return self.monitor.measure.get(name)


def in_state(state: int) -> Bench:
    """A supervisor that has just come into `state`."""
    bench = Bench()
    if state == BOOT:
        return bench
    assert bench.tick() == OPEN
    if state == OPEN:
        return bench
    if state == TRIPPED:
        bench.tell(OPEN_NOW)
        assert bench.tick() == TRIPPED
        return bench
    assert bench.run(PAUSE_MS) == PRECHARGE
    if state == PRECHARGE:
        return bench
    if state == COOL_DOWN:
        assert bench.run(LIMITS["precharge_timeout_ms"]) == COOL_DOWN
        return bench
    bench.link_mv = PACK_MV
    while bench.contactor.state == PRECHARGE:
        bench.tick()
    assert bench.contactor.state == CLOSED
    if state == OPENING:
        bench.current_ma = 1000
        bench.contactor.wanted = False
        assert bench.tick() == OPENING
    elif state == WELD_TEST:
        bench.contactor.wanted = False
        assert [bench.tick(), bench.tick()] == [OPENING, WELD_TEST]
        bench.link_mv = 0
    return bench


def test_nothing_leaves_boot_but_proof_without_a_trip():
    for action, proven, state in (
        (NOTHING, False, BOOT), (OPEN_SOFT, True, BOOT), (OPEN_NOW, True, BOOT),
        (DERATE, True, OPEN), (NOTHING, True, OPEN),
    ):  # fmt: skip
        bench = in_state(BOOT)
        bench.tell(action, proven)
        assert bench.run(3000) == state or state == OPEN, (action, proven)
        assert (bench.contactor.state == BOOT) == (state == BOOT)


def test_an_action_leads_out_of_every_state_at_once():
    for state, now, soft in (
        (OPEN, TRIPPED, TRIPPED), (PRECHARGE, WELD_TEST, WELD_TEST), (CLOSED, WELD_TEST, OPENING),
        (COOL_DOWN, TRIPPED, TRIPPED),
    ):  # fmt: skip
        for action, after in ((OPEN_NOW, now), (OPEN_SOFT, soft), (DERATE, state)):
            for proven in (True, False):
                bench = in_state(state)
                bench.current_ma = 5000
                bench.tell(action, proven)
                assert bench.tick() == after, (STATES[state], action)
    for action, after in ((OPEN_NOW, WELD_TEST), (OPEN_SOFT, OPENING)):
        for proven in (True, False):
            bench = in_state(OPENING)
            bench.tell(action, proven)
            assert bench.tick() == after


def test_opening_needs_no_proof():
    for state, after in ((PRECHARGE, WELD_TEST), (CLOSED, OPENING)):
        bench = in_state(state)
        bench.tell(NOTHING, proven=False)
        bench.contactor.wanted = False
        assert bench.tick() == after
    for current_ma, ms in ((0, 1), (5000, SOFT_MS)):
        bench = in_state(OPENING)
        bench.tell(NOTHING, proven=False)
        bench.current_ma = current_ma
        assert bench.run(ms) == WELD_TEST
    bench = in_state(WELD_TEST)
    bench.tell(NOTHING, proven=False)
    assert bench.run(LIMITS["weld_test_ms"]) == OPEN
    bench = in_state(PRECHARGE)
    bench.tell(NOTHING, proven=False)
    assert bench.run(LIMITS["precharge_timeout_ms"]) == COOL_DOWN
    assert bench.run(LIMITS["precharge_cooldown_ms"]) == OPEN


def test_closing_waits_for_the_pause_the_wish_and_the_proof():
    bench = in_state(OPEN)
    assert bench.run(PAUSE_MS - 1) == OPEN
    assert bench.tick() == PRECHARGE
    bench = in_state(OPEN)
    bench.contactor.wanted = False
    assert bench.run(PAUSE_MS + 50) == OPEN
    bench.contactor.wanted = True
    bench.tell(NOTHING, proven=False)
    assert bench.run(50) == OPEN
    bench.tell(DERATE)
    assert bench.tick() == PRECHARGE


def test_a_wish_with_any_flipped_bit_is_none():
    bench = in_state(OPEN)
    for bit in range(16):
        for word in (0, CLOSE):
            bench.contactor.wish[0] = word ^ 1 << bit
            assert not bench.contactor.wanted
            assert bench.run(PAUSE_MS if bit == 0 else 5) == OPEN, (word, bit)
    bench.contactor.wanted = True
    assert bench.contactor.wanted
    assert bench.tick() == PRECHARGE


def test_precharge_takes_40_ms_at_least_and_the_voltage_that_is_asked_for():
    bench = in_state(PRECHARGE)
    bench.link_mv = UP_MV
    for _ in range(39):
        assert bench.tick() == PRECHARGE
    assert bench.tick() == CLOSED
    bench = in_state(PRECHARGE)
    bench.link_mv = UP_MV - 1
    assert bench.run(200) == PRECHARGE
    bench.link_mv = UP_MV
    assert bench.tick() == CLOSED


def test_precharge_waits_while_the_link_rises_steeply():
    steep_mv = LIMITS["precharge_slope_mv"]
    for step_mv, state in ((steep_mv, CLOSED), (steep_mv + 1, PRECHARGE)):
        bench = in_state(PRECHARGE)
        bench.link_mv = UP_MV - 1000
        bench.run(60)
        # the slope is taken over 20 ms: find where such a piece ends
        while bench.word(8) != 19:
            bench.tick()
        bench.link_mv += step_mv
        assert bench.tick() == state, step_mv
        if state == PRECHARGE:
            for _ in range(19):
                assert bench.tick() == PRECHARGE
            assert bench.tick() == CLOSED


def test_a_link_that_falls_is_not_steep():
    bench = in_state(PRECHARGE)
    bench.link_mv = UP_MV + 4000
    bench.tell(NOTHING, proven=False)
    bench.run(60)
    bench.link_mv = UP_MV
    bench.run(20)
    bench.tell(NOTHING)
    assert bench.tick() == CLOSED


def test_precharge_does_not_close_without_proof_or_onto_no_pack():
    bench = in_state(PRECHARGE)
    bench.link_mv = UP_MV
    bench.tell(NOTHING, proven=False)
    assert bench.run(200) == PRECHARGE
    bench.tell(NOTHING)
    bench.pack_mv = 0
    assert bench.run(200) == PRECHARGE
    bench.pack_mv = PACK_MV
    bench.contactor.wanted = False
    assert bench.tick() == WELD_TEST


def test_precharge_gives_up_in_time_cools_down_and_tries_again():
    bench = in_state(PRECHARGE)
    assert bench.run(LIMITS["precharge_timeout_ms"] - 1) == PRECHARGE
    assert bench.tick() == COOL_DOWN
    assert bench.run(LIMITS["precharge_cooldown_ms"] - 1) == COOL_DOWN
    assert bench.tick() == OPEN


def run_to(bench: Bench, state: int):
    while bench.contactor.state != state:
        bench.run(500)


def failed_tries(bench: Bench) -> "list[int]":
    """From PRECHARGE, after each of its failures, whether it has been one too many."""
    said: "list[int]" = []
    for _ in range(LIMITS["precharge_tries"]):
        while bench.contactor.state != PRECHARGE:
            bench.run(500)
        while bench.contactor.state == PRECHARGE:
            bench.run(100)
        said.append(bench.flag("precharge_failed"))
    return said


def test_precharge_fails_with_its_last_try():
    bench = in_state(PRECHARGE)
    assert failed_tries(bench) == [0, 0, 1]
    bench.monitor.measure.put("precharge_failed", 0)
    assert failed_tries(bench) == [0, 0, 1]  # once reset it counts anew


def test_a_closing_forgets_the_tries_that_failed():
    bench = in_state(COOL_DOWN)
    bench.link_mv = PACK_MV
    run_to(bench, CLOSED)
    bench.link_mv = 0
    bench.contactor.wanted = False
    run_to(bench, OPEN)
    bench.contactor.wanted = True
    assert failed_tries(bench) == [0, 0, 1]


def test_an_unwanted_closing_opens_softly():
    bench = in_state(CLOSED)
    bench.current_ma = 5000
    assert bench.run(5000) == CLOSED
    bench.contactor.wanted = False
    assert bench.tick() == OPENING
    bench.contactor.wanted = True
    assert bench.run(50) == OPENING  # begun is begun


def test_opening_waits_for_the_current_but_not_for_ever():
    for sign in (1, -1):
        bench = in_state(OPENING)
        bench.current_ma = sign * (REST_MA + 1)
        assert bench.run(SOFT_MS - 1) == OPENING
        assert bench.tick() == WELD_TEST
        bench = in_state(OPENING)
        bench.current_ma = sign * REST_MA
        assert bench.tick() == WELD_TEST


def test_a_weld_test_takes_its_time_and_leads_to_where_the_trip_says():
    for action, after in ((NOTHING, OPEN), (DERATE, OPEN), (OPEN_SOFT, TRIPPED), (OPEN_NOW, TRIPPED)):
        bench = in_state(WELD_TEST)
        bench.tell(action)
        assert bench.run(LIMITS["weld_test_ms"] - 1) == WELD_TEST
        assert bench.tick() == after
        assert bench.flag("welded") == 0


def test_a_weld_test_without_measurement_proves_nothing():
    lost_ms = LIMITS["fast_lost_ms"]
    bench = in_state(WELD_TEST)
    bench.tell(NOTHING, age_ms=lost_ms + WAKE_MS + 1)
    assert bench.run(LIMITS["weld_test_ms"] + 500) == WELD_TEST
    bench.tell(NOTHING, age_ms=lost_ms)
    assert bench.tick() == OPEN


def test_a_link_that_stays_up_after_opening_is_a_weld():
    for link_mv, welded in ((WELDED_MV - 1, 0), (WELDED_MV, 1)):
        bench = in_state(WELD_TEST)
        bench.link_mv = link_mv
        bench.run(LIMITS["weld_test_ms"] - 1)
        assert bench.flag("welded") == 0
        bench.tick()
        assert bench.flag("welded") == welded, link_mv
    bench = in_state(OPEN)
    bench.link_mv = PACK_MV
    bench.contactor.wanted = False
    bench.run(2000)
    assert bench.flag("welded") == 0  # something else may hold the link up then


def test_feedback_without_a_gate_is_a_weld_after_the_time_that_a_contactor_may_take():
    for bit in (GATE_NEGATIVE, GATE_PRECHARGE, GATE_POSITIVE):
        bench = in_state(OPEN)
        bench.contactor.wanted = False
        bench.extra = bit
        bench.run(LIMITS["weld_test_ms"])
        bench.extra = 0
        bench.tick()  # once as it should be, and the time runs anew
        bench.extra = bit
        bench.run(LIMITS["weld_test_ms"])
        assert bench.flag("welded") == 0
        bench.tick()
        assert bench.flag("welded") == 1, bit
        bench.monitor.measure.put("welded", 0)
        bench.tick()
        assert bench.flag("welded") == 1, "a reset does not start the time anew"


def test_a_gate_without_feedback_is_a_contactor_that_does_not_close():
    for bit in (GATE_NEGATIVE, GATE_POSITIVE):
        bench = in_state(CLOSED)
        bench.missing = bit
        bench.run(LIMITS["feedback_ms"])
        bench.missing = 0
        bench.tick()
        bench.missing = bit
        bench.run(LIMITS["feedback_ms"])
        assert bench.flag("not_closing") == 0
        for _ in range(3):
            bench.tick()
            assert bench.flag("not_closing") == 1, bit
        bench.missing = 0
        bench.tick()
        assert bench.flag("not_closing") == 0
    bench = in_state(OPEN)
    bench.contactor.wanted = False
    bench.missing = 7
    bench.run(1000)
    assert bench.flag("not_closing") == 0


def test_a_trip_is_left_when_it_is_over_proven_and_after_the_pause():
    bench = in_state(TRIPPED)
    assert bench.run(PAUSE_MS) == TRIPPED
    bench.tell(NOTHING, proven=False)
    assert bench.run(100) == TRIPPED
    bench.tell(OPEN_SOFT)
    assert bench.run(100) == TRIPPED
    bench.tell(NOTHING)
    assert bench.tick() == OPEN
    bench = in_state(TRIPPED)
    bench.tell(DERATE)
    assert bench.run(PAUSE_MS - 1) == TRIPPED
    assert bench.tick() == OPEN


def test_ages_in_a_state_saturate():
    bench = in_state(OPEN)
    bench.contactor.wanted = False
    for _ in range(3):
        assert bench.tick(900_000) == OPEN
    assert bench.word(1) == 1_000_000


def test_a_state_that_no_longer_is_one_leads_out_of_no_table():
    """What a flipped bit could leave, before the guard has seen it: three bits of it count."""
    for state in range(8, 256, 8):
        bench = in_state(OPEN)
        bench.contactor.wanted = False
        struct.pack_into("<i", bench.memory, 0, state + OPEN)
        assert bench.step(1) & 255 == 0
