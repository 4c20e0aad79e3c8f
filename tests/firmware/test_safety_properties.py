"""Properties of the safety kernel: nothing closes a pack that is not safe, nothing clears what is unknown."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import test_guard
import test_kernel
import test_protections
from bms.link import afe_serial, frame
from bms.safety import contactor, kernel, measure, monitor
from bms.safety.contactor import GATES, TRANSITIONS
from bms.sample import LARGEST_MA, OPEN_WIRE, TICK_MS
from bms.tables import faults, params, signals
from bms.tables.faults import FAULTS, LATCHED, NO_LIMIT, OPEN_SOFT, level
from bms.tables.params import CHEMISTRIES, PARAMS, defaults, preset
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from rigless import String

ROW = {row.name: row for row in FAULTS}
CORRUPT = sum(1 << (ROW[name].id & 7) for name in ("state_corrupt", "parameters_corrupt"))
SELF_TICKS = faults.PERIOD_MS[faults.SELF] // TICK_MS
CLOSING = signals.GATE_POSITIVE | signals.GATE_PRECHARGE


def test_every_row_is_tried_somewhere() -> None:
    files = (test_protections, test_kernel, test_guard)
    text = "".join(Path(inspect.getfile(module)).read_text() for module in files)
    missing = [row.name for row in FAULTS if f'"{row.name}"' not in text]
    assert missing == ["temps_lost"]  # test_kernel makes that name itself


def test_rows_are_in_order_and_complete() -> None:
    names = {row.name for row in PARAMS}
    assert [row.id for row in FAULTS] == list(range(len(FAULTS)))
    for row in FAULTS:
        assert row.limit == NO_LIMIT or row.limit in names, row.name
        assert row.clear == NO_LIMIT or row.clear in names, row.name
        assert row.signal == "age_ms" or row.signal in measure.SIGNALS, row.name
        period_ms = faults.PERIOD_MS[row.group]
        assert row.max_reaction_ms >= row.fresh * period_ms, f"{row.name} cannot keep its contract"


def test_a_row_is_to_type_checkers_what_it_is_at_run_time() -> None:
    tree = ast.parse(inspect.getsource(faults))
    declared = next(
        node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "Fault"
    )
    names = [part.target.id for part in declared.body
             if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]  # fmt: skip
    assert tuple(names) == faults.Fault._fields


def test_clear_levels_lie_on_the_safe_side_of_their_limits() -> None:
    for chemistry in range(len(CHEMISTRIES)):
        limits = defaults(chemistry)
        for row in FAULTS:
            limit, clear = level(row, row.limit, limits, 12), level(row, row.clear, limits, 12)
            assert clear <= limit if row.compare == faults.ABOVE else clear >= limit, row.name


def test_presets_lie_inside_their_envelopes() -> None:
    for chemistry in range(len(CHEMISTRIES)):
        for row in PARAMS:
            default, low, high = preset(row.name, chemistry)
            assert row.low <= low <= default <= high <= row.high, row.name


def test_a_chemistry_that_is_none_is_named() -> None:
    with pytest.raises(IndexError, match=r"chemistry 3 is not one of 0\.\.2"):
        preset("cell_ov_mv", 3)


def test_a_value_that_is_nowhere_has_no_place() -> None:
    index: Any = vars(monitor)["_index"]
    assert index([5, 7], 7) == 1
    assert index([5, 7], 6) == -1


def test_tables_can_be_forgotten() -> None:
    kept = dict(params.__dict__), dict(signals.__dict__)
    try:
        params.forget()
        signals.forget()
        assert (params.PARAMS, signals.SIGNALS, signals.FIELDS) == ((), (), ())
    finally:
        params.__dict__.update(kept[0])
        signals.__dict__.update(kept[1])
    assert params.PARAMS is PARAMS


def test_numbers_that_viper_must_know() -> None:
    place = measure.SIGNALS.index
    module: Any
    for module, names in (
        (monitor, {"_BIAS": measure.BIAS, "_AGE_MS": measure.AGE_MS, "_OPEN_WIRES": place("open_wires"),
                   "_TICK_MS": place("tick_ms"), "_AGE_ZERO": measure.BIAS - monitor.WAKE_MS,
                   "_ROW_BYTES": 4 * 8, "_DERATE": faults.DERATE + 1}),
        (contactor, {"_WELDED": place("welded"), "_NOT_CLOSING": place("not_closing"),
                     "_PRECHARGE_FAILED": place("precharge_failed"), "_BIAS": measure.BIAS,
                     "_IN_CLOSED": signals.CLOSED, "_IN_WELD_TEST": signals.WELD_TEST,
                     "_IN_COOL_DOWN": signals.COOL_DOWN, "_STRONGEST": monitor.STRONGEST,
                     "_PROVEN_SAFE": monitor.PROVEN, "_FAST_AGE": monitor.AGE,
                     "_STATES": len(signals.STATES)}),
        (kernel, {"_LATE_PERIODS": place("late_periods"), "_LINK_ERRORS": place("link_errors"),
                  "_IN_OPENING": signals.OPENING, "_PARAMETERS_CORRUPT": ROW["parameters_corrupt"].id,
                  "_STATE_CORRUPT": ROW["state_corrupt"].id,
                  "_CORRUPT_BYTE": ROW["state_corrupt"].id >> 3, "_CORRUPT_BITS": CORRUPT,
                  "_FULL": measure.BIAS}),
        (afe_serial, {"_HEADER": frame.HEADER, "_LARGEST_HIGH": LARGEST_MA >> 16, "_OPEN_WIRE": OPEN_WIRE,
                      "_OPEN_CELL_MV": frame.OPEN_CELL_MV}),
    ):  # fmt: skip
        for name, value in names.items():
            assert getattr(module, name) == value, f"{module.__name__}.{name}"
    for n, name in enumerate(measure.SIGNALS):
        if name == "current_ma" or hasattr(measure, name.upper()):
            assert getattr(measure, name.upper()) == n, name


def test_only_proven_and_clear_leads_to_gates() -> None:
    """Read off the table itself: each row into a state with closed gates demands it, or stays closed."""
    for before, mask, after in TRANSITIONS:
        if after in GATES and before not in GATES:
            assert mask & contactor.PROVEN, (before, after)
            assert mask & contactor.CLEAR, (before, after)
        if after == signals.CLOSED:
            assert mask & contactor.PROVEN, (before, after)
            assert mask & contactor.CLEAR, (before, after)
    for state in GATES:
        leaving = [mask for before, mask, after in TRANSITIONS if before == state and after not in GATES]
        assert contactor.NOW in leaving, f"{signals.STATES[state]} does not open at once"


class Pack(RuleBasedStateMachine):
    """Anything may happen to a string; what must hold holds after every tick."""

    def __init__(self) -> None:
        super().__init__()
        self.string = String()
        self.seqs = [(0, 0, 0)] * SELF_TICKS

    def _tick(self) -> None:
        string = self.string
        before = string.gate.bits
        active = [row for row in FAULTS if row.group != faults.SELF and string.active(row.id)]
        string.tick()
        kernel_, seq = string.kernel, tuple(string.sample.seq)
        if string.gate.bits & CLOSING and not before & CLOSING:
            assert kernel_.monitor.proven and kernel_.monitor.action < OPEN_SOFT
        for row in active:
            if not string.active(row.id):
                # an age is looked at every fourth tick, everything else with its sample
                earlier = self.seqs[0] if row.signal == "age_ms" else self.seqs[-1]
                assert seq[row.group] != earlier[row.group], f"{row.name} cleared by silence"
        self.seqs = [*self.seqs[1:], seq]

    @rule(ticks=st.integers(1, 250))
    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self._tick()

    @rule(cell=st.integers(0, 3), cell_mv=st.sampled_from([0, 2600, 3000, 3700, 4200, 4260, 5000]))
    def cell(self, cell: int, cell_mv: int) -> None:
        self.string.cell_mv[cell] = cell_mv

    @rule(current_ma=st.sampled_from([-30_000, -21_000, -5000, 0, 5000, 8000, 10_000]))
    def current(self, current_ma: int) -> None:
        self.string.current_ma = current_ma

    @rule(sensor=st.integers(0, 1), temp_dc=st.sampled_from([-500, -350, -10, 250, 470, 650, 1300]))
    def temperature(self, sensor: int, temp_dc: int) -> None:
        self.string.temp_dc[sensor] = temp_dc

    @rule(group=st.sampled_from(["send_fast", "send_cells", "send_temps"]), on=st.booleans())
    def silence(self, group: str, on: bool) -> None:
        setattr(self.string, group, on)

    @rule(bits=st.sampled_from([0, 1, 4, 5]), stuck=st.sampled_from([0, 1, 2, 4]))
    def contactors(self, bits: int, stuck: int) -> None:
        self.string.welded, self.string.stuck_open = bits, stuck

    @rule(wanted=st.booleans(), reset=st.booleans(), idle=st.booleans())
    def tasks(self, wanted: bool, reset: bool, idle: bool) -> None:
        self.string.kernel.contactor.wanted = wanted
        self.string.idle = idle
        if reset:
            self.string.kernel.ask_reset()

    @rule()
    def all_well(self) -> None:
        """So that runs do not only pile fault on fault."""
        string = self.string
        string.cell_mv, string.temp_dc, string.current_ma = [3700] * 4, [250] * 2, 0
        string.send_fast = string.send_cells = string.send_temps = True
        string.welded = string.stuck_open = 0
        string.kernel.contactor.wanted = True
        string.kernel.ask_reset()
        for _ in range(700):
            self._tick()

    @invariant()
    def open_while_unsafe(self) -> None:
        monitor_ = self.string.kernel.monitor
        if monitor_.action > OPEN_SOFT:
            assert self.string.gate.bits == 0
        for row in FAULTS:
            if self.string.latched(row.id):
                assert row.latch == LATCHED
                assert monitor_.action >= row.action


TestPack = Pack.TestCase
TestPack.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=400))
def test_noise_on_the_line_neither_closes_nor_breaks_the_tick(noise: bytes) -> None:
    string = String()
    string.run(30)
    for at in range(0, len(noise), 40):
        string.line.load(noise[at : at + 40] + string.feed.end())
        string.kernel.tick(0)
        assert string.gate.bits == 0
