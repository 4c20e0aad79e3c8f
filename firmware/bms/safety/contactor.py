"""Contactor supervisor: one plain table of transitions, evaluated once a tick.

Every opening is followed by a weld test: feedback and link voltage must fall, or the row `contactor_welded`
blocks closing for good. Feedback that does not follow the gates is found in every state.
"""

import micropython
from array import array

from bms.fixed import address, word, words_of
from bms.safety.monitor import WAKE_MS
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
    TRIPPED,
    WELD_TEST,
)
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bms.safety.monitor import Monitor
    from bms.sample import Sample

SOFT_MS = 500
"""Longest wait for zero current before a soft opening opens all the same."""
PAUSE_MS = 1000
"""Between an opening and the next closing."""

# Conditions, one bit each, computed once a tick.
PROVEN = const(1)
NOW = const(2)
SOFT = const(4)
CLEAR = const(8)
WANTED = const(16)
UNWANTED = const(32)
LINK_UP = const(64)
PRECHARGE_LATE = const(128)
NO_CURRENT = const(256)
SOFT_LATE = const(512)
PAUSED = const(1024)
TESTED = const(2048)
COOLED = const(4096)

# In order of precedence: in that state, with every one of these conditions, go there.
TRANSITIONS = (
    (BOOT, PROVEN | CLEAR, OPEN),
    (OPEN, NOW, TRIPPED),
    (OPEN, SOFT, TRIPPED),
    (OPEN, WANTED | PROVEN | CLEAR | PAUSED, PRECHARGE),
    (PRECHARGE, NOW, WELD_TEST),
    (PRECHARGE, SOFT, WELD_TEST),
    (PRECHARGE, UNWANTED, WELD_TEST),
    (PRECHARGE, LINK_UP | PROVEN | CLEAR, CLOSED),
    (PRECHARGE, PRECHARGE_LATE, COOL_DOWN),
    (CLOSED, NOW, WELD_TEST),
    (CLOSED, SOFT, OPENING),
    (CLOSED, UNWANTED, OPENING),
    (OPENING, NOW, WELD_TEST),
    (OPENING, NO_CURRENT, WELD_TEST),
    (OPENING, SOFT_LATE, WELD_TEST),
    (WELD_TEST, TESTED | NOW, TRIPPED),
    (WELD_TEST, TESTED | SOFT, TRIPPED),
    (WELD_TEST, TESTED, OPEN),
    (TRIPPED, CLEAR | PROVEN | PAUSED, OPEN),
    (COOL_DOWN, NOW, TRIPPED),
    (COOL_DOWN, SOFT, TRIPPED),
    (COOL_DOWN, COOLED, OPEN),
)

GATES = {PRECHARGE: GATE_NEGATIVE | GATE_PRECHARGE, CLOSED: GATE_NEGATIVE | GATE_POSITIVE}
"""Gate command in a state; none in those that are not here."""
GATES[OPENING] = GATES[CLOSED]

# State, in words
_STATE = const(0)
_IN_STATE_MS = const(1)
_GATES = const(2)
_TRIES = const(3)  # precharges that failed
_MISSING_MS = const(4)  # feedback of a commanded gate is missing
_EXTRA_MS = const(5)  # feedback without a command
_LINK_WAS_MV = const(6)
_SLOPE_MV = const(7)  # of the link in 20 ms
_SLOPE_MS = const(8)
_WORDS = const(9)

CLOSE = const(0x35A5)
"""In the wish: close. Anything else: stay open or open; so no single flipped bit asks for closing."""

_PARAMETERS = (
    "precharge_pct", "precharge_timeout_ms", "rest_current_ma", "precharge_slope_mv", "precharge_tries",
    "precharge_cooldown_ms", "weld_test_ms", "weld_link_pct", "feedback_ms",
)  # fmt: skip
# They come first in the configuration's words; then the gates of each state, then the transitions.
_PRECHARGE_PCT = const(0)
_PRECHARGE_MS = const(1)
_REST_MA = const(2)
_SLOPE_LIMIT_MV = const(3)
_TRIES_LIMIT = const(4)
_COOL_MS = const(5)
_WELD_MS = const(6)
_WELD_PCT = const(7)
_FEEDBACK_MS = const(8)
_FAST_LOST_MS = const(9)
_SOFT_MS = const(10)
_PAUSE_MS = const(11)
_GATES_OF = const(12)  # by state
_ROWS_OF = const(20)  # by state: where its transitions begin
_TABLE = const(28)  # mask and next state each; 0 ends those of a state
_STATES = const(8)
_LAST = const(127)  # of the words, the rest of which are 0

# States and values of other tables that viper must know as numbers; a test compares them.
_IN_CLOSED = const(3)
_IN_WELD_TEST = const(6)
_IN_COOL_DOWN = const(7)
_WELDED = const(18)
_NOT_CLOSING = const(19)
_PRECHARGE_FAILED = const(20)
_STRONGEST = const(0)
_PROVEN_SAFE = const(1)
_FAST_AGE = const(2)
_BIAS = const(1 << 29)
_LONGEST_MS = const(1_000_000)


@micropython.viper
def _watch(state_at: int, config_at: int, fast_at: int, values_at: int, elapsed_ms: int):
    # With a fresh sample: feedback against gates, the weld test's end, the link's slope.
    state = ptr32(state_at)
    config = ptr32(config_at)
    fast = ptr32(fast_at)
    values = ptr32(values_at)
    gates = state[_GATES]
    feedback = fast[3]
    link = fast[2]
    values[_NOT_CLOSING] = _BIAS
    if gates & (feedback ^ 7):
        state[_MISSING_MS] += elapsed_ms
        if state[_MISSING_MS] > config[_FEEDBACK_MS]:
            values[_NOT_CLOSING] = _BIAS + 1
            state[_MISSING_MS] = config[_FEEDBACK_MS]
    else:
        state[_MISSING_MS] = 0
    if feedback & (gates ^ 7):
        state[_EXTRA_MS] += elapsed_ms
        if state[_EXTRA_MS] > config[_WELD_MS]:
            values[_WELDED] = _BIAS + 1
            state[_EXTRA_MS] = config[_WELD_MS]
    else:
        state[_EXTRA_MS] = 0
    if state[_STATE] == _IN_WELD_TEST and state[_IN_STATE_MS] + elapsed_ms >= config[_WELD_MS]:
        if link * 100 >= fast[1] * config[_WELD_PCT]:
            values[_WELDED] = _BIAS + 1
    state[_SLOPE_MS] += elapsed_ms
    if state[_SLOPE_MS] >= 20:
        state[_SLOPE_MS] = 0
        state[_SLOPE_MV] = 0
        if link > state[_LINK_WAS_MV]:
            state[_SLOPE_MV] = link - state[_LINK_WAS_MV]
        state[_LINK_WAS_MV] = link


@micropython.viper
def _conditions(
    state_at: int,
    config_at: int,
    fast_at: int,
    monitor_at: int,
    values_at: int,
    wish_at: int,
    elapsed_ms: int,
) -> int:
    state = ptr32(state_at)
    config = ptr32(config_at)
    fast = ptr32(fast_at)
    monitor = ptr32(monitor_at)
    values = ptr32(values_at)
    wish = ptr32(wish_at)
    ms = state[_IN_STATE_MS] + elapsed_ms
    if ms > _LONGEST_MS:
        ms = _LONGEST_MS
    state[_IN_STATE_MS] = ms
    strongest = monitor[_STRONGEST]
    bits = CLEAR
    if strongest > 2:
        bits = NOW
    elif strongest == 2:
        bits = SOFT
    if monitor[_PROVEN_SAFE]:
        bits |= PROVEN
    bits |= WANTED if wish[0] == CLOSE else UNWANTED
    if fast[1] > 0 and fast[2] * 100 >= fast[1] * config[_PRECHARGE_PCT] and ms >= 40:
        if state[_SLOPE_MV] <= config[_SLOPE_LIMIT_MV]:
            bits |= LINK_UP
    if ms >= config[_PRECHARGE_MS]:
        bits |= PRECHARGE_LATE
    if ms >= config[_SOFT_MS]:
        bits |= SOFT_LATE
    if ms >= config[_PAUSE_MS]:
        bits |= PAUSED
    if ms >= config[_COOL_MS]:
        bits |= COOLED
    if ms >= config[_WELD_MS] and monitor[_FAST_AGE] <= config[_FAST_LOST_MS]:
        bits |= TESTED  # unknown proves nothing
    current = values[0] - _BIAS
    if current < 0:
        current = 0 - current
    if current <= config[_REST_MA]:
        bits |= NO_CURRENT
    return bits


@micropython.viper
def _step(state_at: int, config_at: int, values_at: int, bits: int) -> int:
    # The first transition that the conditions allow; the gates of the state then reached.
    state = ptr32(state_at)
    config = ptr32(config_at)
    # Indices are masked: a flipped bit must not send us out of the table.
    at = config[_ROWS_OF + (state[_STATE] & 7)] & _LAST
    while config[at]:
        mask = config[at]
        if bits & mask == mask:
            now = config[at + 1] & 7
            if now == _IN_CLOSED:
                state[_TRIES] = 0
            elif now == _IN_COOL_DOWN:
                state[_TRIES] += 1
                if state[_TRIES] >= config[_TRIES_LIMIT]:
                    values = ptr32(values_at)
                    values[_PRECHARGE_FAILED] = _BIAS + 1
                    state[_TRIES] = 0
            state[_STATE] = now
            state[_IN_STATE_MS] = 0
            break
        at = (at + 2) & _LAST
    gates = config[_GATES_OF + (state[_STATE] & 7)]
    state[_GATES] = gates
    return gates | state[_STATE] << 8


class Contactor:
    """Decides state and gates of one string; `wish` is what the application asks for, CLOSE or not."""

    BYTES = 4 * _WORDS
    """Of `memory`."""

    def __init__(self, limits: "dict[str, int]", memory: memoryview) -> None:
        self._words = memory
        self.wish = array("i", [0])
        config = [limits[name] for name in _PARAMETERS]
        config += [limits["fast_lost_ms"] + WAKE_MS, SOFT_MS, PAUSE_MS]
        config += [GATES.get(state, 0) for state in range(_STATES)]
        begins: "list[int]" = []
        table: "list[int]" = []
        for state in range(_STATES):
            begins.append(_TABLE + len(table))
            for before, mask, after in TRANSITIONS:
                if before == state:
                    table += (mask, after)
            table.append(0)
        config += begins + table
        self.config = words_of(config + [0] * (_LAST + 2 - len(config)))

    def watch(self, sample: "Sample", values: "array[int]") -> "Callable[[int], None]":
        """Bound once for the tick: look at a fresh FAST sample before the fault table is evaluated."""
        bound = (_watch, address(self._words), address(self.config), address(sample.fast), address(values))

        @micropython.native
        def look(elapsed_ms: int) -> None:
            watch, state_at, config_at, fast_at, values_at = bound
            watch(state_at, config_at, fast_at, values_at, elapsed_ms)

        return look

    def step(self, sample: "Sample", monitor: "Monitor") -> "Callable[[int], int]":
        """Bound once for the tick: (elapsed_ms) -> gates, and the state shifted left by 8."""
        bound = (
            (_conditions, _step, address(self._words), address(self.config)),
            (address(sample.fast), monitor.state_at, address(monitor.measure.values), address(self.wish)),
        )

        @micropython.native
        def step(elapsed_ms: int) -> int:
            own, others = bound
            conditions, step, state_at, config_at = own
            fast_at, monitor_at, values_at, wish_at = others
            bits = conditions(state_at, config_at, fast_at, monitor_at, values_at, wish_at, elapsed_ms)
            return step(state_at, config_at, values_at, bits)

        return step

    @property
    def state(self) -> int:
        """Index into signals.STATES."""
        return word(self._words, _STATE)

    @property
    def gates(self) -> int:
        """Gate command."""
        return word(self._words, _GATES)

    @property
    def wanted(self) -> bool:
        """Whether the application asks for closed contactors."""
        return self.wish[0] == CLOSE

    @wanted.setter
    def wanted(self, closed: bool) -> None:
        self.wish[0] = CLOSE if closed else 0
