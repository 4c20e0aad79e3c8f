"""A main.py that runs the unchanged application and spoils its main loop at a given moment after power-on.

It also prints where the memory that protects lies, for the emulator's debugger.
"""

from __future__ import annotations

from bms.sample import TICK_MS

from hil.scenario import Controller

_MAIN = """\
import gc
import micropython
import time

if hasattr(gc, "threshold"):
    gc.threshold(4096)

from bms.app import App
from board import Board

AT_TICK = %d


def hang():
    while True:
        pass


def fill_heap():
    hoard = None
    size = 1024
    while True:
        try:
            hoard = (hoard, bytearray(size))
        except MemoryError:
            size = size // 2 or 1


def collect():
    while True:
        gc.collect()


@micropython.viper
def spin():
    n = 0
    while n < 2:
        n ^= 1


def slow():
    # A task that takes 40 ms each time: inside the period, but past its deadline.
    leak = app.leak.step

    def dawdle(snapshot, estimate):
        begun = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), begun) < 40:
            pass
        leak(snapshot, estimate)

    app.leak.step = dawdle
    app.step = step


def reboot():
    app.step = step
    app.reboot()


def sabotaged():
    if app.kernel.tick_n() < AT_TICK or not FIRST:
        step()
    else:
        print("saboteur: %s")
        %s()


def print_areas():
    import uctypes

    kernel = app.kernel
    guard = kernel.guard
    areas = [("memory", guard.memory, 1), ("kept", guard.kept, 1), ("words", kernel.words, 4)]
    areas += [("constants_%%d" %% n, part, 1) for n, part in enumerate(guard.constants)]
    areas.append(("values", kernel.monitor.measure.values, 4))
    for name, words, width in areas:
        print("area", name, uctypes.addressof(words), width * len(words))
    print("areas end")


board = Board()
FIRST = board.reset_cause() == "power-on"
app = App(board)
try:
    print_areas()
except ImportError:
    pass  # only a debugger wants them
step = app.step
app.step = sabotaged
app.run()
"""


_MUTANT = """\
import gc

if hasattr(gc, "threshold"):
    gc.threshold(4096)

import bms
from bms.tables import params

for name, value in %r.items():
    params._PRESETS[name] = tuple((value, low, high) for _, low, high in params._PRESETS[name])

from bms.app import App
from board import Board

App(Board()).run()
"""


def mutated_main(changes: dict[str, int]) -> str:
    """Text of a main.py that runs the application with other presets (parameter -> default value)."""
    return _MUTANT % changes


def sabotaged_main(controller: Controller) -> str:
    """Text of the main.py for that fault; after a reset it leaves the main loop alone."""
    at_tick = round(controller.at_s * 1000 / TICK_MS)
    return _MAIN % (at_tick, controller.kind, controller.kind)
