"""The safety tick: measure, protect, decide, command; and the handover to the slower tasks.

Runs every TICK_MS from the board's safety timer, in interrupt context where the timer is hard. It
allocates nothing, waits for nothing and needs nothing of the tasks above it: when they hang, it goes on.

Its steps are functions bound once at start-up: on a small controller looking up attributes and buffers costs
more than the protections themselves.
"""

import micropython
from array import array

from bms.fixed import address, copy16
from bms.safety.contactor import Contactor
from bms.safety.guard import Area, Constants
from bms.safety.measure import AGE_MS, BIAS, SIGNALS
from bms.safety.monitor import Monitor
from bms.tables.faults import CELLS, FAST, FAULTS, TEMPS
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bms.contract import SafetyParts
    from bms.sample import Command, Estimate, Sample, Snapshot

TICKS_MASK = const(0x3FFF_FFFF)
"""The tick counter wraps inside a small int of a 32-bit MicroPython."""
_ERRORS_TICKS = const(200)
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

# What a snapshot holds behind the values of the signals and the fault bitmaps
_H_CHARGE = const(0)
_H_TICK = const(1)
_H_LINK = const(2)
_H_PROVEN = const(3)
_H_COMMAND = const(4)  # gates, state above them
_H_WORDS = const(5)

_FULL = const(1 << 29)
_LATE_PERIODS = const(23)  # place in measure.SIGNALS
_LINK_ERRORS = const(17)
_IN_OPENING = const(4)  # signals.OPENING
_PARAMETERS_CORRUPT = const(29)  # rows of the fault table
_STATE_CORRUPT = const(30)
_PLAIN = (
    "current_ma", "pack_mv", "cell_max_mv", "cell_min_mv", "temp_max_dc", "temp_min_dc", "isolation_kohm",
)  # fmt: skip
"""Fields of a snapshot that are signals of the same name."""
_LONGEST_MS = const(120)  # in a charge; currents are below 2^22 mA


@micropython.viper
def _advance(words_at: int, fast_at: int, seq_at: int, body_at: int, elapsed_ms: int, period: int) -> int:
    # Tick counter, device time, charge; 1 at the start of a period.
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
        if current > 0x3FFFFFFF:  # a negative one on a 64-bit host
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
    words[_TO_GO] -= 1
    if words[_TO_GO]:
        return 0
    words[_TO_GO] = period
    return 1


@micropython.viper
def _hold(
    values_at: int,
    n: int,
    bits_at: int,
    words_at: int,
    fast_at: int,
    monitor_at: int,
    held_at: int,
    command: int,
):
    # What the tasks may look at, as it is now.
    values = ptr32(values_at)
    bits = ptr32(bits_at)
    words = ptr32(words_at)
    fast = ptr32(fast_at)
    monitor = ptr32(monitor_at)
    held = ptr32(held_at)
    i = 0
    while i < n:
        held[i] = values[i]
        i += 1
    held[n] = bits[0] | bits[2]
    held[n + 1] = bits[1] | bits[3]
    n += 2
    held[n + _H_CHARGE] = words[_CHARGE]
    held[n + _H_TICK] = words[_TICK]
    held[n + _H_LINK] = fast[2]
    held[n + _H_PROVEN] = monitor[1]
    held[n + _H_COMMAND] = command
    words[_CHARGE] = _FULL


@micropython.viper
def _command(body_at: int, command: int):
    # Gates, state, requests.
    body = ptr8(body_at)
    body[4] = command & 255
    body[5] = command >> 8
    body[7] = 1 if command >> 8 == _IN_OPENING else 0


@micropython.viper
def _publish(body_at: int, packed_at: int):
    # sample.Command.publish, for the tick
    body = ptr8(body_at)
    packed = ptr8(packed_at)
    body[6] = packed[0]
    i = 0
    while i < 16:
        body[8 + i] = packed[1 + i]
        i += 1
    i = 0
    while i < 4:
        body[40 + i] = packed[17 + i]
        i += 1


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
        self._held = array("i", [0] * (len(SIGNALS) + 2 + _H_WORDS))
        self._errors = 0
        self._lost_ms = [0, 0, 0]
        for row in FAULTS:
            if row.signal == "age_ms":
                self._lost_ms[row.group] = row.level(row.limit, limits, 1)
        self.monitor = Monitor(limits, sample, command.bits, words)
        self.contactor = Contactor(limits)
        self.guarded = (
            Area(self.monitor.state, len(self.monitor.state)),
            Area(command.bits, 4),
            Area(self.contactor.words, len(self.contactor.words)),
        )
        self._keeps = tuple(area.keep() for area in self.guarded)
        self.latch(bytes(8))
        self.constants = (Constants(self.monitor.rows), Constants(self.contactor.config))
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
                self._count_errors,
                _command,
            ),
            tuple(area.check() for area in self.guarded + self.constants),
            self._keeps,
            (self.monitor.raise_now, self.monitor.reset_latched),
        )

        @micropython.native
        def tick(_: object) -> None:
            outside, times, inside, checks, keeps, rare = bound
            elapsed, read, gate_set, write, sample, command, words = outside
            advance, words_at, fast_at, seq_at, body_at = times
            monitor, contactor, period, hand_over, count_errors, put_command = inside
            differs_a, differs_b, differs_c, wrong_rows, wrong_config = checks
            keep_a, keep_b, keep_c = keeps
            elapsed_ms = elapsed()
            if differs_a() or differs_b() or differs_c():
                rare[0](_STATE_CORRUPT)
            if wrong_rows() or wrong_config():
                rare[0](_PARAMETERS_CORRUPT)
            if words[_RESET]:
                words[_RESET] = 0
                rare[1]()
            read(sample)
            period_starts = advance(words_at, fast_at, seq_at, body_at, elapsed_ms, period)
            monitor(elapsed_ms)
            do = contactor(elapsed_ms)
            if period_starts:
                hand_over(do)
            elif words[_TICK] % _ERRORS_TICKS == 10:
                count_errors()
            put_command(body_at, do)
            gate_set(do & 255)
            write(command, words[_MS_LOW], words[_MS_HIGH])
            keep_a()
            keep_b()
            keep_c()

        return tick

    def _hand_over(self) -> "Callable[[int], None]":
        """The tick's part at the start of a period, bound once: publish the estimate, hold a snapshot."""
        sample, snapshot, command, values = (
            self._sample, self._snapshot, self._command, self.monitor.measure.values,
        )  # fmt: skip
        bound = (
            (self.words, values, _publish, address(command.body), address(self._estimate.packed)),
            (_hold, address(values), len(SIGNALS), address(command.bits), address(self.words)),
            (address(sample.fast), address(self.monitor.state), address(self._held)),
            (copy16, snapshot.cell_mv, sample.cell_mv, sample.n_cells),
            (snapshot.temp_dc, sample.temp_dc, sample.n_temps),
        )

        @micropython.native
        def hand_over(command: int) -> None:
            shared, holding, held, cells, temps = bound
            words, values, publish, body_at, packed_at = shared
            if words[_DUE]:
                # the old estimate stands, the charge goes on being summed
                words[_OVERRUNS] += 1
                words[_LATE] += 1
            else:
                words[_LATE] = 0
                publish(body_at, packed_at)
                hold, values_at, n, bits_at, words_at = holding
                fast_at, monitor_at, held_at = held
                hold(values_at, n, bits_at, words_at, fast_at, monitor_at, held_at, command)
                copy, to, source, n = cells
                copy(to, source, n)
                to, source, n = temps
                copy(to, source, n)
                words[_DUE] = 1
            values[_LATE_PERIODS] = words[_LATE] + BIAS

        return hand_over

    def _count_errors(self) -> None:
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
        for keep in self._keeps:
            keep()

    def take(self) -> None:
        """Fill the snapshot's fields from what the tick held; for the task, when `due`."""
        out = self._snapshot
        held = self._held
        n = len(SIGNALS)
        for name in _PLAIN:
            setattr(out, name, held[SIGNALS.index(name)] - BIAS)
        for i in range(8):
            out.faults[i] = held[n + i // 4] >> 8 * (i % 4) & 255
        n += 2
        out.tick = held[n + _H_TICK]
        out.charge_ma_ms = held[n + _H_CHARGE] - BIAS
        out.link_mv = held[n + _H_LINK]
        out.proven = held[n + _H_PROVEN] != 0
        out.gates = held[n + _H_COMMAND] & 255
        out.state = held[n + _H_COMMAND] >> 8
        out.fast_known = self._known(FAST)
        out.cells_known = self._known(CELLS)
        out.temps_known = self._known(TEMPS)

    def _known(self, group: int) -> bool:
        return 0 <= self._held[AGE_MS + group] - BIAS <= self._lost_ms[group]
