"""The application of one board: start-up, the tasks above the safety tick, and the main loop."""

import gc
import sys

from bms import VERSION
from bms.control import PERIOD_MS
from bms.control.control import Control
from bms.estimate.coulomb import CoulombCounter
from bms.estimate.leak import Leak
from bms.link.reports import Reports
from bms.memory import boots, identity
from bms.memory.recorder import Recorder
from bms.safety.kernel import TICKS_MASK, Kernel
from bms.sample import TICK_MS, Command, Estimate, Sample, Snapshot
from bms.tables import params, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Board

PERIOD_TICKS = PERIOD_MS // TICK_MS
"""Estimators and control run every 100 ms."""
POLL_TICKS = 4
"""The broker link is looked at every 20 ms."""
WATCHDOG_MS = 1000
MICROPYTHON = sys.implementation.name == "micropython"


class App:
    """Everything that runs on `board` (see contract.py for what a board offers)."""

    def __init__(self, board: "Board") -> None:
        self.board = board
        self.identity = who = identity.load(board.nvm)
        boot = boots.count_boot(board.nvm)
        self._await_front_end()
        limits = params.defaults(who.chemistry)
        limits["capacity_mah"] = who.capacity_mah
        sample = Sample(who.series, who.temps)
        self.snapshot = Snapshot(who.series, who.temps)
        self.estimate = Estimate()
        self.kernel = Kernel(board, sample, Command(), self.snapshot, self.estimate, limits, PERIOD_TICKS)
        self.kernel.contactor.wanted = True
        self.recorder = Recorder(board, self.kernel, boot, params.fingerprint(limits))
        self.estimator = CoulombCounter(who.capacity_mah, who.chemistry)
        self.recorder.resume(self.estimator)
        self.leak = Leak(limits, who.series, who.chemistry)
        self.control = Control(limits, who.series, who.chemistry)
        self._polled_at = 0
        boot_id = boot << 32 | board.random_u32()
        params_hash = params.fingerprint(limits)
        if MICROPYTHON:
            params.forget()
        gc.collect()
        self.reports = Reports(board, who, boot_id, params_hash, self.kernel, self.recorder)
        if MICROPYTHON:
            signals.forget()

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
        """Start the safety timer and work until somebody interrupts from the console."""
        board = self.board
        print("cellkeeper %s on %s, pack %s" % (VERSION, board.machine, self.identity.pack))
        board.watchdog.start(WATCHDOG_MS)
        board.clock.elapsed_ms()  # the first tick counts from here, not from boot
        board.start_safety_timer(self.kernel.tick, TICK_MS)
        try:
            while True:
                self.step()
                board.idle()
        except KeyboardInterrupt:
            # The tick goes on and opens the contactors, at zero current first; the prompt is for a person.
            self.kernel.contactor.wanted = False
            board.watchdog.relax()
            raise

    def step(self) -> None:
        """One turn of the main loop: the period's tasks when they are due, then the links."""
        kernel = self.kernel
        if kernel.due:
            kernel.take()
            self.estimator.step(self.snapshot, self.estimate)
            self.control.step(self.snapshot, self.estimate)
            self.leak.step(self.snapshot, self.estimate)
            kernel.monitor.measure.put("self_discharge_ma", self.leak.ma)
            self.reports.step(self.snapshot, self.estimate)
            self.recorder.step(self.snapshot, self.estimate)
            kernel.done()
            self.board.watchdog.feed()
        tick = kernel.tick_n()
        if tick - self._polled_at & TICKS_MASK >= POLL_TICKS:
            self._polled_at = tick
            self.reports.poll()
        self.recorder.poll()
