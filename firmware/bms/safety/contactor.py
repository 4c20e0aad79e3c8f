"""Contactor supervisor: one plain table of transitions, evaluated once a tick."""

import micropython
from bms.safety.monitor import NO_ACTION
from bms.tables.faults import OPEN_NOW, OPEN_SOFT
from bms.tables.signals import (
    BOOT,
    CLOSED,
    GATE_NEGATIVE,
    GATE_POSITIVE,
    GATE_PRECHARGE,
    OPEN,
    OPENING,
    PRECHARGE,
    TRIPPED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.safety.monitor import Monitor
    from bms.sample import Sample

SOFT_MS = 500
"""Longest wait for zero current before a soft opening opens all the same."""
PAUSE_MS = 1000
"""Between an opening or a failed precharge and the next closing."""
TRIES = 3
"""Precharges that may fail before the supervisor stays open until the next boot."""

# Conditions, one bit each, computed once a tick.
C_PROVEN = 1
C_NOW = 2
C_SOFT = 4
C_CLEAR = 8
C_WANTED = 16
C_LINK_UP = 32
C_PRECHARGE_LATE = 64
C_NO_CURRENT = 128
C_SOFT_LATE = 256
C_PAUSED = 512
C_OPEN_WANTED = 1024

# Per state, in order of precedence: every bit of the condition must hold; the first match is taken.
TRANSITIONS = (
    # BOOT
    ((C_PROVEN | C_CLEAR, OPEN),),
    # OPEN
    ((C_NOW, TRIPPED), (C_SOFT, TRIPPED), (C_WANTED | C_PROVEN | C_CLEAR | C_PAUSED, PRECHARGE)),
    # PRECHARGE
    (
        (C_NOW, TRIPPED),
        (C_SOFT, TRIPPED),
        (C_OPEN_WANTED, OPEN),
        (C_LINK_UP, CLOSED),
        (C_PRECHARGE_LATE, OPEN),
    ),
    # CLOSED
    ((C_NOW, TRIPPED), (C_SOFT, OPENING), (C_OPEN_WANTED, OPENING)),
    # OPENING
    ((C_NOW, TRIPPED), (C_NO_CURRENT, OPEN), (C_SOFT_LATE, OPEN)),
    # TRIPPED
    ((C_CLEAR | C_PROVEN | C_PAUSED, OPEN),),
)

GATES = (
    0,
    0,
    GATE_NEGATIVE | GATE_PRECHARGE,
    GATE_NEGATIVE | GATE_POSITIVE,
    GATE_NEGATIVE | GATE_POSITIVE,
    0,
)
"""Gate command in each state."""


class Contactor:
    """Decides `state` and `gates` of one string. `wanted` is what the application asks for."""

    def __init__(self, precharge_pct: int, precharge_timeout_ms: int, rest_current_ma: int) -> None:
        self._precharge_pct = precharge_pct
        self._precharge_timeout_ms = precharge_timeout_ms
        self._rest_current_ma = rest_current_ma
        self._in_state_ms = 0
        self._tries = 0
        self.wanted = False
        self.state = BOOT
        self.gates = 0

    @micropython.native
    def step(self, monitor: "Monitor", sample: "Sample", elapsed_ms: int) -> None:
        """One tick after `monitor.step`."""
        if self._in_state_ms < 1_000_000:
            self._in_state_ms += elapsed_ms
        bits = self._conditions(monitor, sample)
        for mask, after in TRANSITIONS[self.state]:
            if bits & mask == mask:
                self._enter(after)
                break
        self.gates = GATES[self.state]

    @micropython.native
    def _conditions(self, monitor: "Monitor", sample: "Sample") -> int:
        action = monitor.action
        ms = self._in_state_ms
        bits = C_CLEAR if action == NO_ACTION else C_NOW if action == OPEN_NOW else 0
        if action == OPEN_SOFT:
            bits |= C_SOFT
        if monitor.proven:
            bits |= C_PROVEN
        if not self.wanted:
            bits |= C_OPEN_WANTED
        elif self._tries < TRIES:
            bits |= C_WANTED
        if sample.link_mv * 100 >= sample.pack_mv * self._precharge_pct and sample.pack_mv > 0:
            bits |= C_LINK_UP
        if ms >= self._precharge_timeout_ms:
            bits |= C_PRECHARGE_LATE
        if ms >= SOFT_MS:
            bits |= C_SOFT_LATE
        if ms >= PAUSE_MS:
            bits |= C_PAUSED
        if -self._rest_current_ma <= sample.current_ma <= self._rest_current_ma:
            bits |= C_NO_CURRENT
        return bits

    def _enter(self, state: int) -> None:
        if state == CLOSED:
            self._tries = 0
        elif state == OPEN and self.state == PRECHARGE:
            self._tries += 1
        self.state = state
        self._in_state_ms = 0
