"""The application of one board: start-up, the tasks above the safety tick, and the main loop."""

import gc
import sys

from bms import VERSION
from bms.control.control import Control
from bms.deadlines import CONTROL, ESTIMATOR, LEAK, LINK, MEMORY, RECORDER, REPORTS, Deadlines
from bms.estimate.coulomb import CoulombCounter
from bms.estimate.leak import Leak
from bms.link.reports import Reports
from bms.memory import boots, cell, identity
from bms.memory.recorder import Recorder
from bms.safety.kernel import TICKS_MASK, Kernel
from bms.sample import PERIOD_MS, TICK_MS, Command, Estimate, Sample, Snapshot
from bms.tables import signals
from bms.tables.signals import WELD_TEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Board, Estimator

PERIOD_TICKS = PERIOD_MS // TICK_MS
"""Estimators and control run every 100 ms."""
POLL_TICKS = 4
"""The broker link is looked at every 20 ms."""
WATCHDOG_MS = 1000
SHUT_DOWN_MS = 3000
"""Longest wait for open and tested contactors before a reset."""
MICROPYTHON = sys.implementation.name == "micropython"


def _parameters(chemistry: int, capacity_mah: int) -> "tuple[dict[str, int], bytes]":
    """The parameters by name, and their hash. The module, the largest of all, leaves a small heap again."""
    from bms.tables import params

    limits = params.defaults(chemistry)
    limits["capacity_mah"] = capacity_mah
    found = limits, params.fingerprint(limits)
    if MICROPYTHON:
        params.forget()
        sys.modules.pop(params.__name__)
        sys.modules["bms.tables"].__dict__.pop("params")
    return found


class App:
    """Everything that runs on `board` (see contract.py for what a board offers)."""

    def __init__(self, board: "Board") -> None:
        self.board = board
        self.identity = who = identity.load(board.nvm)
        boot = boots.count_boot(board.nvm)
        self._await_front_end()
        limits, params_hash = _parameters(who.chemistry, who.capacity_mah)
        sample = Sample(who.series, who.temps)
        self.snapshot = Snapshot(who.series, who.temps)
        self.estimate = Estimate()
        self.kernel = Kernel(board, sample, Command(), self.snapshot, self.estimate, limits, PERIOD_TICKS)
        self.kernel.contactor.wanted = True
        self.recorder = Recorder(board, self.kernel, boot, params_hash)
        self.estimator = self._estimator(limits)
        self.recorder.resume(self.estimator)
        self.leak = Leak(limits, who.series, who.chemistry)
        self.control = Control(limits, who.series, who.chemistry)
        self.deadlines = Deadlines(board)
        self._polled_at = 0
        self._reboot = False
        boot_id = boot << 32 | board.random_u32()
        gc.collect()
        self.reports = Reports(board, who, boot_id, params_hash, self.kernel, self.recorder, self.deadlines)
        if MICROPYTHON:
            signals.forget()

    def _estimator(self, limits: "dict[str, int]") -> "Estimator":
        """The observer where board and provisioning have what it needs, else a counter."""
        board, who = self.board, self.identity
        # a board without the memory for an observer has none for the tables
        parts = cell.load(board.nvm) if board.observer else None
        if board.observer and parts:
            try:
                cell.check(parts, who.chemistry)
                return board.observer(limits, who.series, parts, self.recorder.memory.state)
            except ValueError as error:
                board.afe.log("counts charge only: %s" % error)
        return CoulombCounter(who.capacity_mah, who.chemistry)

    def _await_front_end(self) -> None:
        """Wait for the front end's CONFIG and answer it; the gates are open until the first tick."""
        board = self.board
        who = self.identity
        scrap = Sample(who.series, who.temps)
        board.afe.read(scrap)
        while not board.afe.configured:
            board.idle()
            board.afe.read(scrap)
        if (board.afe.n_cells, board.afe.n_temps) != (who.series, who.temps):
            text = "front end has %d cells and %d sensors, this board is provisioned for %d and %d" % (
                board.afe.n_cells,
                board.afe.n_temps,
                who.series,
                who.temps,
            )
            board.afe.log(text)
            raise identity.IdentityError(text)
        board.afe.write(Command(), 0, 0)

    def run(self) -> None:
        """Start the safety timer; work until a reboot is asked for, or somebody interrupts at the console."""
        board = self.board
        print("cellkeeper %s on %s, pack %s" % (VERSION, board.machine, self.identity.pack))
        board.watchdog.start(WATCHDOG_MS)
        board.clock.elapsed_ms()  # the first tick counts from here, not from boot
        self.reports.begin()
        board.start_safety_timer(self.kernel.tick, TICK_MS)
        try:
            while not self._reboot:
                self.step()
                board.idle()
            self.shut_down()
            board.reset()
        except KeyboardInterrupt:
            # The prompt is for a person; the tick goes on.
            board.watchdog.relax()
            self.shut_down()
            raise

    def reboot(self) -> None:
        """Have the main loop shut down and reset the controller: for an update, or an operator."""
        self._reboot = True

    def shut_down(self) -> bool:
        """Ask for zero current, at most 500 ms; open the contactors, look for a weld, have the SoC stored.

        All tasks go on meanwhile. False: not all of it was done after SHUT_DOWN_MS.
        """
        board, kernel = self.board, self.kernel
        kernel.contactor.wanted = False
        begun_ms = board.clock.ms()
        open_since = -1
        while board.clock.ms() - begun_ms < SHUT_DOWN_MS:
            self.step()
            board.idle()
            if kernel.contactor.gates or kernel.contactor.state == WELD_TEST:
                continue
            if open_since < 0:
                open_since = kernel.tick_n()
                self.recorder.save(self.snapshot, self.estimate)
            # A weld just found is latched within a period, and given to the memory within another.
            elif kernel.tick_n() - open_since & TICKS_MASK > 2 * PERIOD_TICKS and self.recorder.saved:
                return True
        return False

    def step(self) -> None:
        """One turn of the main loop: the period's tasks when they are due, then the links."""
        kernel, deadlines = self.kernel, self.deadlines
        deadlines.begin()
        if kernel.due:
            kernel.take()
            self.estimator.step(self.snapshot, self.estimate)
            deadlines.ended(ESTIMATOR)
            self.control.step(self.snapshot, self.estimate)
            deadlines.ended(CONTROL)
            self.leak.step(self.snapshot, self.estimate)
            kernel.monitor.measure.put("self_discharge_ma", self.leak.ma)
            deadlines.ended(LEAK)
            self.reports.step(self.snapshot, self.estimate)
            deadlines.ended(REPORTS)
            self.recorder.step(self.snapshot, self.estimate)
            deadlines.ended(RECORDER)
            kernel.done()
            deadlines.close(kernel.overruns)
        tick = kernel.tick_n()
        if tick - self._polled_at & TICKS_MASK >= POLL_TICKS:
            self._polled_at = tick
            self.reports.poll()
            deadlines.ended(LINK)
        self.recorder.poll()
        deadlines.ended(MEMORY)
