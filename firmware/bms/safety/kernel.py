"""The safety tick: measure, protect, decide, command; and the handover to the slower tasks.

Runs every TICK_MS from the board's safety timer, in interrupt context where the timer is hard. It
allocates nothing, waits for nothing and needs nothing of the tasks above it: when they hang, it goes on.
"""

import micropython
from bms.fixed import copy16
from bms.safety.contactor import Contactor
from bms.safety.monitor import CELL_MAX, CELL_MIN, TEMP_MAX, TEMP_MIN, Monitor
from bms.tables.faults import CELLS, FAST, TEMPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import SafetyParts
    from bms.sample import Command, Estimate, Sample, Snapshot

TICKS_MASK = 0x3FFF_FFFF
"""The tick counter wraps inside a small int of a 32-bit MicroPython."""


class Kernel:
    """Safety of one string. `board` gives afe, gate and clock; the records are shared with the tasks.

    `tick` is what the safety timer calls. `task_due` is raised by the tick when `snapshot` is new and
    lowered by the task when `estimate` is ready; `overruns` counts periods in which it was not.
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
        self._afe = board.afe
        self._gate = board.gate
        self._clock = board.clock
        self._sample = sample
        self._command = command
        self._snapshot = snapshot
        self._estimate = estimate
        self.monitor = Monitor(limits)
        self.contactor = Contactor(
            limits["precharge_pct"], limits["precharge_timeout_ms"], limits["rest_current_ma"]
        )
        self._period_ticks = period_ticks
        self._to_go = period_ticks
        self._fast_seq = 0
        self._charge_ma_ms = 0
        self._ms_low = 0
        self._ms_high = 0
        self.task_due = False
        self.overruns = 0
        command.faults = self.monitor.active
        command.latched = self.monitor.latched

    @micropython.native
    def tick(self, _: object = None) -> None:
        """One safety tick."""
        sample = self._sample
        command = self._command
        elapsed_ms = self._clock.elapsed_ms()
        self._afe.read(sample)
        self._advance(elapsed_ms)
        self.monitor.step(sample, elapsed_ms, command.tick)
        self.contactor.step(self.monitor, sample, elapsed_ms)
        if sample.fast_seq != self._fast_seq:
            self._fast_seq = sample.fast_seq
            self._charge_ma_ms += sample.current_ma * elapsed_ms
        self._to_go -= 1
        if self._to_go == 0:
            self._to_go = self._period_ticks
            self._hand_over()
        command.gates = self.contactor.gates
        command.state = self.contactor.state
        self._gate.set(command.gates)
        self._afe.write(command, self._ms_low, self._ms_high)

    def tick_n(self) -> int:
        """How many ticks there have been, modulo TICKS_MASK + 1."""
        return self._command.tick

    @micropython.native
    def _advance(self, elapsed_ms: int) -> None:
        self._command.tick = (self._command.tick + 1) & TICKS_MASK
        low = self._ms_low + elapsed_ms
        self._ms_low = low & 0xFFFF
        self._ms_high = (self._ms_high + (low >> 16)) & 0xFFFF

    def _hand_over(self) -> None:
        if self.task_due:
            self.overruns += 1  # the old estimate stands, the charge goes on being summed
            return
        command = self._command
        estimate = self._estimate
        command.soc_cpct = estimate.soc_cpct
        command.sigma_cpct = estimate.sigma_cpct
        command.kept = estimate.kept
        command.next_seq = estimate.next_seq
        self._take_snapshot()
        self.task_due = True

    @micropython.native
    def _take_snapshot(self) -> None:
        sample = self._sample
        out = self._snapshot
        value = self.monitor.value
        out.tick = self._command.tick
        out.charge_ma_ms = self._charge_ma_ms
        self._charge_ma_ms = 0
        out.proven = self.monitor.proven
        out.fast_known = self.monitor.known(FAST)
        out.cells_known = self.monitor.known(CELLS)
        out.temps_known = self.monitor.known(TEMPS)
        out.current_ma = sample.current_ma
        out.pack_mv = sample.pack_mv
        out.link_mv = sample.link_mv
        out.isolation_kohm = sample.isolation_kohm
        out.cell_max_mv = value[CELL_MAX]
        out.cell_min_mv = value[CELL_MIN]
        out.temp_max_dc = value[TEMP_MAX]
        out.temp_min_dc = value[TEMP_MIN]
        out.state = self.contactor.state
        out.gates = self.contactor.gates
        copy16(out.cell_mv, sample.cell_mv, sample.n_cells)
        copy16(out.temp_dc, sample.temp_dc, sample.n_temps)
        for i in range(8):
            out.faults[i] = self.monitor.active[i] | self.monitor.latched[i]
