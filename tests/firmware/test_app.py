"""The application on a board in memory: its watchdog, and how it leaves the pack when it is told to go."""

import gc
import struct

from bms.app import SHUT_DOWN_MS, App
from bms.deadlines import DEADLINES_MS, LEAK
from bms.estimate.coulomb import CoulombCounter
from bms.link import frame
from bms.memory import cell, identity, state
from bms.memory.journal import Journal
from bms.memory.kinds import STATE_KINDS
from bms.memory.layout import END, IDENTITY, SECTOR, STATE, STATE_SECTORS
from bms.safety.contactor import SOFT_MS
from bms.sample import TICK_MS, Estimate, Snapshot
from bms.tables import params, signals
from bms.tables.faults import FAULTS
from bms.tables.signals import CLOSED, OPEN, OPENING, TRIPPED
from rigless import String

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import MakeObserver
    from collections.abc import Callable

PAGE = 256
WELDED = next(row.id for row in FAULTS if row.name == "contactor_welded")
_WHO: "dict[str, object]" = {
    "tenant": "t", "site": "s", "pack": "p", "chemistry": 0, "capacity_mah": 3000, "series": 4, "temps": 2,
}  # fmt: skip


class Nvm:
    """NOR flash that keeps only the pages that were written: a small heap has no room for the rest."""

    size = END

    def __init__(self) -> None:
        self.pages: "dict[int, bytearray]" = {}

    def read(self, addr: int, buf: bytearray) -> None:
        for i in range(len(buf)):
            at = addr + i
            page = self.pages.get(at // PAGE)
            buf[i] = 0xFF if page is None else page[at % PAGE]

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        page = self.pages.setdefault(addr // PAGE, bytearray(b"\xff" * PAGE))
        for i in range(len(data)):
            page[addr % PAGE + i] &= data[i]

    def erase(self, addr: int) -> None:
        for n in range(addr // PAGE, addr // PAGE + SECTOR // PAGE):
            self.pages.pop(n, None)


def provisioned() -> Nvm:
    """The memory of a board that knows who it is."""
    nvm = Nvm()
    image = identity.image(_WHO)
    for at in range(0, len(image), PAGE):
        nvm.program(IDENTITY + at, image[at : at + PAGE])
    return nvm


class NoBroker:
    def open(self) -> bool:
        return False

    def readinto(self, buf: bytearray) -> int:
        return -1

    def write(self, buf: bytearray, n: int) -> int:
        return -1

    def close(self) -> None:
        pass


class Dog:
    """A watchdog that notes when it was fed."""

    def __init__(self, board: "Desk") -> None:
        self._board = board
        self.fed_ms: "list[int]" = []
        self.relaxed = False

    def start(self, timeout_ms: int) -> None:
        self.timeout_ms = timeout_ms

    def feed(self) -> None:
        self.fed_ms.append(self._board.clock.ms())

    def relax(self) -> None:
        self.relaxed = True


class DeviceClock:
    """Device time: a tick a turn, and what tasks `spend` in between."""

    def __init__(self) -> None:
        self.now_ms = 0

    def ms(self) -> int:
        return self.now_ms

    def elapsed_ms(self) -> int:
        return TICK_MS


class Desk:
    """A board over the pack of rigless; `idle` is a tick. `script` is called before each with the tick."""

    machine = name = "desk"
    safety_timer = "scheduled"

    def __init__(self, nvm: "Nvm | None" = None, observer: "MakeObserver | None" = None) -> None:
        self.observer = observer
        self.pack = String()
        self.afe = self.pack.afe
        self.gate = self.pack.gate
        self.clock = DeviceClock()
        self.link = NoBroker()
        self.watchdog = Dog(self)
        self.nvm = nvm or provisioned()
        self.was_reset = False
        self.script: "Callable[[int], None] | None" = None
        gc.collect()
        self.app = self._start()
        self.kernel = self.pack.kernel = self.app.kernel

    def _start(self) -> App:
        # Started, a small controller frees the tables; other tests still want them.
        kept = params.forget, signals.forget
        params.forget = signals.forget = lambda: None
        try:
            config = struct.pack(frame.CONFIG_FORMAT, 4, 2, frame.MODE_LOCKSTEP, 7)
            self.pack.line.load(self.pack.feed.frame(frame.CONFIG, config))
            return App(self)  # pyright: ignore[reportArgumentType]
        finally:
            params.forget, signals.forget = kept

    def random_u32(self) -> int:
        return 7

    def reset_cause(self) -> str:
        return "power-on"

    def start_safety_timer(self, callback: "Callable[[int], None]", period_ms: int) -> None:
        assert period_ms == TICK_MS

    def reset(self) -> None:
        self.was_reset = True

    def idle(self) -> None:
        if self.script is not None:
            self.script(self.tick_n)
        self.clock.now_ms += TICK_MS
        self.pack.line.load(self.pack.frames())
        self.pack.tick_n += 1
        self.kernel.tick(0)

    @property
    def tick_n(self) -> int:
        return self.pack.tick_n

    def turns(self, n: int) -> None:
        """The main loop, n times."""
        for _ in range(n):
            self.app.step()
            self.idle()

    def close(self) -> None:
        """Until the path is closed."""
        for _ in range(1000):
            if self.kernel.contactor.state == CLOSED:
                return
            self.turns(1)
        raise AssertionError("does not close")


class Observing(CoulombCounter):
    """Stands for the observer, which has tests of its own."""

    def __init__(
        self, limits: "dict[str, int]", n_cells: int, parts: "dict[int, bytearray]", _journal: Journal
    ) -> None:
        if n_cells != 4 or cell.ECM not in parts:
            raise ValueError("no circuit")
        super().__init__(limits["capacity_mah"], params.NMC)


def estimator(parts: "dict[int, bytes]", maker: "MakeObserver | None") -> str:
    """What a board runs that was told `parts` of its cell."""
    nvm = provisioned()
    cell.write(nvm, cell.image(parts))
    desk = Desk(nvm, maker)
    desk.close()
    return type(desk.app.estimator).__name__


def test_the_observer_runs_only_where_the_cell_of_this_pack_is_known():
    nmc, lfp = bytes([params.NMC]), bytes([params.LFP])
    assert estimator({cell.CHEMISTRY: nmc, cell.ECM: b"x"}, Observing) == "Observing"
    for parts, maker in (
        ({}, Observing),
        ({cell.CHEMISTRY: nmc, cell.ECM: b"x"}, None),
        ({cell.CHEMISTRY: lfp, cell.ECM: b"x"}, Observing),
        ({cell.ECM: b"x"}, Observing),
        ({cell.CHEMISTRY: nmc}, Observing),
    ):
        assert estimator(parts, maker) == "CoulombCounter", parts


def test_the_watchdog_is_fed_once_a_period():
    desk = Desk()
    desk.turns(101)
    assert desk.watchdog.fed_ms == [100, 200, 300, 400, 500]
    assert desk.app.deadlines.late == 0


def test_a_slow_task_starves_the_watchdog_and_is_told_by_name():
    desk = Desk()
    desk.turns(21)
    step = desk.app.leak.step

    def slow(snapshot: Snapshot, estimate: Estimate) -> None:
        desk.clock.now_ms += DEADLINES_MS[LEAK] + 1
        step(snapshot, estimate)

    desk.app.leak.step = slow
    desk.turns(400)
    assert desk.watchdog.fed_ms == [100]
    assert desk.app.deadlines.missed[LEAK] == desk.app.deadlines.late == 20
    row = desk.app.reports._row  # pyright: ignore[reportPrivateUsage]
    keys = {signal.name: signal.key for signal in signals.SIGNALS}
    assert row[keys["overruns"]] == 19, "as of the period before"
    assert row[keys["late_task"]] == LEAK


def test_a_reboot_asks_for_zero_current_opens_and_looks_for_a_weld_first():
    desk = Desk()
    desk.close()
    desk.pack.current_ma = -3000
    seen: "list[int]" = []
    begun = desk.tick_n

    def script(tick: int) -> None:
        state = desk.kernel.contactor.state
        if not seen or seen[-1] != state:
            seen.append(state)
        if tick == begun + 10:
            desk.app.reboot()
        if state == OPENING and tick == begun + 60:
            desk.pack.current_ma = 0  # the load obeys

    desk.script = script
    desk.app.run()
    assert desk.was_reset
    assert seen == [CLOSED, OPENING, signals.WELD_TEST, OPEN]
    assert desk.gate.bits == 0
    weld_ms = params.defaults(params.NMC)["weld_test_ms"]
    took_ms = (desk.tick_n - begun) * TICK_MS
    assert 300 + weld_ms <= took_ms <= 300 + weld_ms + 300
    stored = state.Charge(Journal(desk.nvm, STATE // SECTOR, STATE_SECTORS, STATE_KINDS))
    assert stored.soc_cpct == desk.app.estimate.soc_cpct
    assert stored.sigma_cpct == desk.app.estimate.sigma_cpct


def test_a_reboot_does_not_wait_for_a_load_that_does_not_obey():
    desk = Desk()
    desk.close()
    desk.pack.current_ma = -3000
    begun = desk.tick_n
    desk.app.reboot()
    desk.app.run()
    weld_ms = params.defaults(params.NMC)["weld_test_ms"]
    assert desk.was_reset
    assert SOFT_MS + weld_ms <= (desk.tick_n - begun) * TICK_MS <= SOFT_MS + weld_ms + 300


def test_a_weld_found_on_the_way_is_known_after_the_reboot():
    desk = Desk()
    desk.close()
    desk.pack.welded = 5
    desk.pack.link_held = True
    desk.app.reboot()
    desk.app.run()
    assert desk.was_reset
    assert desk.kernel.contactor.state == TRIPPED
    nvm = desk.nvm
    del desk
    gc.collect()
    again = Desk(nvm)
    again.turns(400)
    assert again.kernel.contactor.state != CLOSED
    assert again.pack.latched(WELDED)


def test_without_measurements_the_reboot_comes_all_the_same():
    desk = Desk()
    desk.close()
    desk.pack.send_fast = False
    desk.app.reboot()
    begun = desk.tick_n
    desk.app.run()
    assert desk.was_reset
    assert desk.gate.bits == 0
    assert (desk.tick_n - begun) * TICK_MS == SHUT_DOWN_MS


def test_an_interrupt_at_the_console_shuts_down_and_gives_the_prompt():
    desk = Desk()
    desk.close()
    desk.pack.current_ma = -3000
    begun = desk.tick_n

    def script(tick: int) -> None:
        if tick == begun + 10:
            desk.script = None
            raise KeyboardInterrupt

    desk.script = script
    try:
        desk.app.run()
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("no prompt")
    assert not desk.was_reset
    assert desk.watchdog.relaxed
    assert desk.kernel.contactor.state == OPEN
    assert desk.gate.bits == 0
