"""What the application has remembered: latched faults, charge, trips with their freeze frames.

At start-up it gives the kernel back what was latched; then once a period it stores what has changed.
"""

from bms.link.frame import RECORD
from bms.memory.kinds import CHARGE
from bms.memory.store import Memory
from bms.sample import TICK_MS, UNKNOWN_CPCT
from bms.tables.faults import FAULTS
from bms.tables.signals import BOOT, CAUSES, OPEN, TRIPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Board, Estimator
    from bms.safety.kernel import Kernel
    from bms.sample import Estimate, Snapshot

_SUSPICIOUS_TICKS = 60_000 // TICK_MS
"""After a watchdog or brown-out reset the pack is derated for a minute."""
_WELDED = next(row.id for row in FAULTS if row.name == "contactor_welded")
_PIECE = 112


class Recorder:
    """Between the kernel and `memory`; `step` once a period, `poll` each turn of the main loop."""

    def __init__(self, board: "Board", kernel: "Kernel", boot: int, params_hash: bytes) -> None:
        cause = board.reset_cause()
        self._afe = board.afe
        self._kernel = kernel
        self._piece = bytearray(_PIECE)
        self._suspicious = "" if cause not in ("watchdog", "brown-out") else cause.replace("-", "") + "_reset"
        self.memory = memory = Memory(board.nvm, boot, CAUSES.index(cause), params_hash)
        kernel.latch(memory.latches.bitmap)
        self._tell("nvm_corrupt", memory.corrupt)
        if self._suspicious:
            self._tell(self._suspicious, True)

    def _tell(self, signal: str, value: int) -> None:
        self._kernel.monitor.measure.put(signal, value)

    def resume(self, estimator: "Estimator") -> None:
        """Let the estimator go on from what was stored, if anything was."""
        charge = self.memory.charge
        if charge.sigma_cpct < UNKNOWN_CPCT:
            estimator.resume(charge.soc_cpct, charge.sigma_cpct)

    def trip(
        self, snapshot: "Snapshot", estimate: "Estimate", age_ms: int, tick: int, fault: int, index: int,
        value: int, limit: int,
    ) -> None:  # fmt: skip
        """A row of the fault table was raised at `tick`, `age_ms` before the snapshot."""
        self.memory.box.trip(
            snapshot, tick, max(0, snapshot.device_ms - age_ms), fault, index, value, limit, age_ms,
            estimate.soc_cpct, estimate.discharge_limiter,
        )  # fmt: skip

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period, after the trips of that period."""
        memory = self.memory
        latched = self._kernel.monitor.latched
        memory.latches.store(latched, latched[_WELDED >> 3] >> (_WELDED & 7) & 1)
        memory.box.frame(
            snapshot, estimate.soc_cpct, estimate.discharge_limit_da, estimate.discharge_limiter
        )  # fmt: skip
        if memory.charge.due(snapshot.tick):
            memory.charge.store(snapshot.tick, estimate.soc_cpct, estimate.sigma_cpct)
        if self._suspicious and snapshot.tick > _SUSPICIOUS_TICKS:
            self._tell(self._suspicious, False)
            self._suspicious = ""

    def save(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """Before a reboot: have the estimate stored, however short the last one is ago."""
        self.memory.charge.store(snapshot.tick, estimate.soc_cpct, estimate.sigma_cpct)

    @property
    def saved(self) -> bool:
        """Whether a reset can no longer lose the estimate or a latched fault."""
        return self.memory.latches.stored and not self.memory.state.waiting(CHARGE)

    def poll(self) -> None:
        """At most one operation of the NVM, and one piece of a read-out that the front end has asked for."""
        self.memory.step(quiet=self._kernel.contactor.state in (BOOT, OPEN, TRIPPED))
        if self._afe.dump_wanted:
            self._afe.dump_wanted = False
            self.memory.readout.start()
        n = self.memory.readout.next_frame(self._piece)
        if n:
            self._afe.send(RECORD, memoryview(self._piece)[:n])

    def reset_latched(self) -> None:
        """An operator has looked: forget latched rows whose cause has gone."""
        self.memory.latches.accept()
        self._tell("nvm_corrupt", self.memory.corrupt)
        self._kernel.ask_reset()
