"""The safety tick: measure, protect, decide, command; and the handover to the slower tasks.

Runs every TICK_MS from the board's safety timer, in interrupt context where the timer is hard. It
allocates nothing, waits for nothing and needs nothing of the tasks above it: when they hang, it goes on.

Its steps are functions bound once at start-up: on a small controller looking up attributes and buffers costs
more than the protections themselves.
"""

import micropython
from array import array

from bms.fixed import address
from bms.safety.contactor import Contactor
from bms.safety.guard import Guard, whole
from bms.safety.measure import AGE_MS, BIAS, SIGNALS
from bms.safety.monitor import Monitor
from bms.tables.faults import CELLS, FAST, FAULTS, TEMPS, level
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bms.contract import SafetyParts
    from bms.sample import Command, Estimate, Sample, Snapshot

TICKS_MASK = const(0x3FFF_FFFF)
"""The tick counter wraps inside a small int of a 32-bit MicroPython."""
_ERROR_TURNS = const(50)
"""The front end's refused messages are counted over a second."""

# What the tick and the tasks share, in words
_TICK = const(0)
_DUE = const(1)  # the snapshot is new; the task lowers it
_OVERRUNS = const(2)
_LATE = const(3)  # periods in a row in which the task was not ready
_CHARGE = const(4)  # mA ms since the last snapshot, with BIAS
_SEQ = const(5)
_MS_LOW = const(6)
_MS_HIGH = const(7)
_TO_GO = const(8)
_RESET = const(9)  # ask the tick to forget latched faults
_WORDS = const(10)

# What a snapshot holds beside the values of the signals and the fault bitmaps
_H_CHARGE = const(0)
_H_TICK = const(1)
_H_LINK = const(2)
_H_PROVEN = const(3)
_H_COMMAND = const(4)  # gates, state above them
_H_MS_LOW = const(5)
_H_MS_HIGH = const(6)
_H_WORDS = const(7)

_FULL = const(1 << 29)
_LATE_PERIODS = const(23)  # place in measure.SIGNALS
_LINK_ERRORS = const(17)
_BETWEEN = const(1)  # of four ticks: not that which starts a period, nor that of the controller's own rows
_IN_OPENING = const(4)  # signals.OPENING
_PARAMETERS_CORRUPT = const(29)  # rows of the fault table
_STATE_CORRUPT = const(30)
_CORRUPT_BYTE = const(3)
_CORRUPT_BITS = const(0x60)  # their bits in the bitmap of latched rows
_NO_GATES = const(0xFF00)
_PLAIN = (
    "current_ma", "pack_mv", "cell_max_mv", "cell_min_mv", "temp_max_dc", "temp_min_dc", "isolation_kohm",
)  # fmt: skip
"""Fields of a snapshot that are signals of the same name."""
_LONGEST_MS = const(120)  # in a charge; currents are below 2^22 mA


@micropython.viper
def _advance(words_at: int, fast_at: int, seq_at: int, body_at: int, elapsed_ms: int, period: int) -> int:
    # Tick counter, device time, charge; how many ticks are left of the period, 0 at the start of one.
    words = ptr32(words_at)
    fast = ptr32(fast_at)
    seq = ptr32(seq_at)
    body = ptr8(body_at)
    tick = (words[_TICK] + 1) & TICKS_MASK
    words[_TICK] = tick
    body[0] = tick & 255
    body[1] = (tick >> 8) & 255
    body[2] = (tick >> 16) & 255
    body[3] = tick >> 24
    low = words[_MS_LOW] + elapsed_ms
    words[_MS_LOW] = low & 0xFFFF
    words[_MS_HIGH] = (words[_MS_HIGH] + (low >> 16)) & 0xFFFF
    if seq[0] != words[_SEQ]:
        words[_SEQ] = seq[0]
        current = fast[0]
        if current > 0x3FFFFFFF:  # pragma: no cover: a negative one, in viper on a 64-bit host
            half = 0x10000
            current -= half * half
        ms = elapsed_ms
        if ms > _LONGEST_MS:
            ms = _LONGEST_MS
        charge = words[_CHARGE] + current * ms
        if charge < 0:
            charge = 0
        if charge > 0x3FFFFFFF:
            charge = 0x3FFFFFFF
        words[_CHARGE] = charge
    left = words[_TO_GO] - 1
    words[_TO_GO] = left if left else period
    return left


@micropython.viper
def _hold(words_at: int, fast_at: int, monitor_at: int, held_at: int, command: int):
    # What a snapshot holds beside copies of whole records.
    words = ptr32(words_at)
    fast = ptr32(fast_at)
    monitor = ptr32(monitor_at)
    held = ptr32(held_at)
    held[_H_CHARGE] = words[_CHARGE]
    held[_H_TICK] = words[_TICK]
    held[_H_LINK] = fast[2]
    held[_H_PROVEN] = monitor[1]
    held[_H_COMMAND] = command
    held[_H_MS_LOW] = words[_MS_LOW]
    held[_H_MS_HIGH] = words[_MS_HIGH]
    words[_CHARGE] = _FULL


@micropython.viper
def _command(body_at: int, bits_at: int, command: int):
    # Gates, state, requests, fault bitmaps.
    body = ptr8(body_at)
    bits = ptr8(bits_at)
    body[4] = command & 255
    body[5] = command >> 8
    body[7] = 1 if command >> 8 == _IN_OPENING else 0
    i = 16
    while i:
        i -= 1
        body[24 + i] = bits[i]


class Kernel:
    """Safety of one string. `board` gives afe, gate and clock; the records are shared with the tasks.

    `tick` is what the safety timer calls. When `due`, the task calls `take`, which fills the snapshot, works,
    and calls `done`, which hands the estimate over; `overruns` counts periods in which it had not.
    """

    def __init__(
        self,
        board: "SafetyParts",
        sample: "Sample",
        command: "Command",
        snapshot: "Snapshot",
        estimate: "Estimate",
        limits: "dict[str, int]",
        period_ticks: int,
    ) -> None:
        self._board = board
        self._sample = sample
        self._command = command
        self._snapshot = snapshot
        self._estimate = estimate
        self._period_ticks = period_ticks
        self.words = words = array("i", [0] * _WORDS)
        words[_CHARGE] = BIAS
        words[_TO_GO] = period_ticks
        self._held = array("i", [0] * _H_WORDS)
        self._held_values = array("i", [BIAS] * len(SIGNALS))
        self._held_bits = bytearray(16)
        self._errors = self._turns = 0
        self._lost_ms = [0, 0, 0]
        for row in FAULTS:
            if row.signal == "age_ms":
                self._lost_ms[row.group] = level(row, row.limit, limits, 1)
        n, m = Monitor.BYTES, Contactor.BYTES
        memory = bytearray(n + m + 16)
        view = memoryview(memory)
        self._bits = view[n + m :]
        self.monitor = Monitor(limits, sample, view[:n], self._bits, words)
        self.contactor = Contactor(limits, view[n : n + m])
        self.guard = Guard(memory, (self.monitor.rows, self.contactor.config))
        board.afe.bind(sample, command)
        self.tick = self._bind()

    def _bind(self) -> "Callable[..., None]":
        """The tick, bound once when everything is in its place."""
        sample, command, words, board = self._sample, self._command, self.words, self._board
        values = self.monitor.measure.values
        bound = (
            (board.clock.elapsed_ms, board.afe.read, board.gate.set, board.afe.write, sample, command, words),
            (_advance, address(words), address(sample.fast), address(sample.seq), address(command.body)),
            (
                self.monitor.step(self.contactor.watch(sample, values)),
                self.contactor.step(sample, self.monitor),
                self._period_ticks,
                self._hand_over(),
                self._between,
                _command,
                address(self._bits),
            ),
            (self.guard.memory, self.guard.kept, self.guard.whole, self._recover, self.monitor.latched),
        )

        @micropython.native
        def tick(_: object) -> None:
            outside, times, inside, guard = bound
            elapsed, read, gate_set, write, sample, command, words = outside
            advance, words_at, fast_at, seq_at, body_at = times
            monitor, contactor, period, hand_over, between, put_command, bits_at = inside
            memory, kept, all_of_it, recover, latched = guard
            elapsed_ms = elapsed()
            if memory != kept:
                recover()
            read(sample)
            left = advance(words_at, fast_at, seq_at, body_at, elapsed_ms, period)
            monitor(elapsed_ms)
            if left & 3 == _BETWEEN:
                between()
            do = contactor(elapsed_ms)
            if latched[_CORRUPT_BYTE] & _CORRUPT_BITS:
                do &= _NO_GATES  # not by way of a table that may be what is corrupt
            if left == 0:
                hand_over(do)
            put_command(body_at, bits_at, do)
            gate_set(do & 255)
            write(command, words[_MS_LOW], words[_MS_HIGH])
            kept[all_of_it] = memory

        return tick

    def _hand_over(self) -> "Callable[[int], None]":
        """The tick's part at the start of a period, bound once: publish the estimate, hold a snapshot."""
        sample, snapshot, values = self._sample, self._snapshot, self.monitor.measure.values
        body, packed = self._command.body, memoryview(self._estimate.packed)
        copies: "list[tuple[Any, Any]]" = [
            (body[6:7], packed[0:1]),  # as sample.Command.publish
            (body[8:24], packed[1:17]),
            (body[40:44], packed[17:21]),
            (self._held_values, values),
            (self._held_bits, self._bits),
            (snapshot.cell_mv, sample.cell_mv),
            (snapshot.temp_dc, sample.temp_dc),
        ]
        bound = (
            (self.words, values, tuple((to, whole(to), source) for to, source in copies)),
            (_hold, address(self.words), address(sample.fast), self.monitor.state_at, address(self._held)),
        )

        @micropython.native
        def hand_over(command: int) -> None:
            shared, holding = bound
            words, values, copies = shared
            if words[_DUE]:
                # the old estimate stands, the charge goes on being summed
                words[_OVERRUNS] += 1
                words[_LATE] += 1
            else:
                words[_LATE] = 0
                for to, part, source in copies:
                    to[part] = source
                hold, words_at, fast_at, monitor_at, held_at = holding
                hold(words_at, fast_at, monitor_at, held_at, command)
                words[_DUE] = 1
            values[_LATE_PERIODS] = words[_LATE] + BIAS

        return hand_over

    def _recover(self) -> None:
        # Nothing in there can be trusted: begin as after a reset, but lose no latched row.
        memory, kept = self.guard.memory, self.guard.kept
        latched = len(memory) - 8
        for i in range(latched):
            memory[i] = 0
        for i in range(latched, len(memory)):
            memory[i] |= kept[i]
        self.monitor.raise_now(_STATE_CORRUPT)

    def _between(self) -> None:
        # Every 20 ms, in a tick that has little else to do.
        if self.guard.constants_differ():
            self.monitor.raise_now(_PARAMETERS_CORRUPT)
        if self.words[_RESET]:
            self.words[_RESET] = 0
            self.monitor.reset_latched()
        self._turns += 1
        if self._turns == _ERROR_TURNS:
            self._turns = 0
            errors = self._board.afe.errors()
            self.monitor.measure.values[_LINK_ERRORS] = errors - self._errors + BIAS
            self._errors = errors

    @property
    def due(self) -> bool:
        """Whether a new snapshot waits for the task."""
        return self.words[_DUE] != 0

    @property
    def overruns(self) -> int:
        """Periods since boot in which the task had not finished."""
        return self.words[_OVERRUNS]

    def tick_n(self) -> int:
        """How many ticks there have been, modulo TICKS_MASK + 1."""
        return self.words[_TICK]

    def done(self) -> None:
        """The task has finished: the tick may publish the estimate and hold the next snapshot."""
        self._estimate.pack()
        self.words[_DUE] = 0

    def ask_reset(self) -> None:
        """Let the tick forget latched faults whose cause has gone."""
        self.words[_RESET] = 1

    def latch(self, bitmap: "bytes | bytearray") -> None:
        """At start-up, before the first tick: rows that were latched before the reset."""
        self.monitor.latch(bitmap)
        self.guard.keep()

    def take(self) -> None:
        """Fill the snapshot's fields from what the tick held; for the task, when `due`."""
        out = self._snapshot
        held = self._held
        for name in _PLAIN:
            setattr(out, name, self._held_values[SIGNALS.index(name)] - BIAS)
        for i in range(8):
            out.faults[i] = self._held_bits[i] | self._held_bits[8 + i]
        out.tick = held[_H_TICK]
        out.charge_ma_ms = held[_H_CHARGE] - BIAS
        out.link_mv = held[_H_LINK]
        ms = held[_H_MS_LOW] | held[_H_MS_HIGH] << 16 & TICKS_MASK
        out.device_ms += ms - out.device_ms & TICKS_MASK
        out.proven = held[_H_PROVEN] != 0
        out.gates = held[_H_COMMAND] & 255
        out.state = held[_H_COMMAND] >> 8
        out.fast_known = self._known(FAST)
        out.cells_known = self._known(CELLS)
        out.temps_known = self._known(TEMPS)

    def _known(self, group: int) -> bool:
        return 0 <= self._held_values[AGE_MS + group] - BIAS <= self._lost_ms[group]
