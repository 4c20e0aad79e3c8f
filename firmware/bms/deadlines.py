"""The tasks above the safety tick, how long each may take, and the watchdog that is fed only if all did well.

Supervised as AUTOSAR's watchdog manager does it: every task must have run in the period (alive), each inside
its deadline from its beginning to its end, and the feed comes in a window, neither too late nor too early.
"""

from array import array

from bms.tables.signals import TASKS
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bms.contract import Board

ESTIMATOR = const(0)
CONTROL = const(1)
LEAK = const(2)
REPORTS = const(3)
RECORDER = const(4)
MEMORY = const(5)
LINK = const(6)

DEADLINES_MS = (30, 15, 10, 30, 15, 500, 250)
"""Of signals.TASKS. The first five run once a period and together may take all of it. The other two have many
turns a period: erasing a sector of flash may take 400 ms, a step of a TLS handshake 200."""

WINDOW_MS = 50
"""The watchdog is not fed earlier than this after the last time."""

_EVERY = const(0x7F)
_IN_TURNS = const(0x60)  # memory and link: none of theirs comes before the first period


class Deadlines:
    """`begin` before a task or several in a row, `ended` behind each, `close` at the end of a period.

    `missed` counts by task, `late` the periods in which a task missed its deadline, `newest` is the task that
    did so last, -1 for none.
    """

    def __init__(self, board: "Board") -> None:
        self._ms: "Callable[[], int]" = board.clock.ms
        self._watchdog = board.watchdog
        self._log: "Callable[[str], None]" = board.afe.log
        self.missed = array("i", [0] * len(TASKS))
        self.late = 0
        self.newest = -1
        self._ran = _IN_TURNS
        self._in_time = True
        self._overruns = 0
        self._mark_ms = 0
        self._fed_ms = -WINDOW_MS

    def begin(self) -> None:
        """The next task begins now."""
        self._mark_ms = self._ms()

    def ended(self, task: int) -> None:
        """`task` ends now, and the one behind it begins."""
        now_ms = self._ms()
        took_ms = now_ms - self._mark_ms
        self._mark_ms = now_ms
        self._ran |= 1 << task
        if took_ms > DEADLINES_MS[task]:
            self._in_time = False
            self.newest = task
            self.missed[task] += 1
            n = self.missed[task]
            if n & n - 1 == 0:  # once, twice, four times: the line stays free
                told = (TASKS[task], took_ms, DEADLINES_MS[task], n)
                self._log("task %s took %d ms, its deadline is %d ms (%d times)" % told)

    def close(self, overruns: int) -> None:
        """The period's tasks are done. `overruns`: of the kernel, periods that began before they were."""
        now_ms = self._mark_ms
        good = self._ran == _EVERY and self._in_time and overruns == self._overruns
        if not self._in_time:
            self.late += 1
        self._ran = 0
        self._in_time = True
        self._overruns = overruns
        if good and now_ms - self._fed_ms >= WINDOW_MS:
            self._fed_ms = now_ms
            self._watchdog.feed()
