"""What the application reports of itself: snapshots and events turned into rows of telemetry."""

import gc
from array import array

from bms import VERSION
from bms.link import telemetry
from bms.link.samples import ones
from bms.link.telemetry import MISSING, Telemetry
from bms.link.upload import Upload
from bms.safety.kernel import TICKS_MASK
from bms.sample import OUTLOOK, TICK_MS, UNKNOWN_CPCT
from bms.tables import signals
from bms.tables.faults import FAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Board
    from bms.deadlines import Deadlines
    from bms.memory.identity import Identity
    from bms.memory.recorder import Recorder
    from bms.safety.kernel import Kernel
    from bms.sample import Estimate, Snapshot

_PERIODS = 10
"""A tele sample every ten periods of 100 ms."""

_LEAST_STORE_BYTES = 2048
_RESERVE_BYTES = 53_248
"""Heap that the stores leave when they have more than the least: for the rest of the start, which takes about
8 kB, and then for connecting and for whoever works at the console."""

_KEY = {row.name: row.key for row in signals.SIGNALS}
_OUTLOOK_KEYS = bytes(_KEY[name] for name in OUTLOOK)


def _store_bytes(most: int) -> int:
    """A store of unacknowledged samples: as much as is useful, of what the heap has beyond its reserve."""
    if not hasattr(gc, "mem_free"):  # at a desk
        return most
    gc.collect()
    return min(most, max(_LEAST_STORE_BYTES, gc.mem_free() - _RESERVE_BYTES))


class Reports:
    """Feeds `Telemetry` with what the tick and the estimators left behind; `step` once a period."""

    def __init__(
        self,
        board: "Board",
        who: "Identity",
        boot_id: int,
        params_hash: bytes,
        kernel: "Kernel",
        recorder: "Recorder",
        deadlines: "Deadlines",
    ) -> None:
        self._board = board
        self._kernel = kernel
        self._deadlines = deadlines
        self._recorder = recorder
        self._row = telemetry.row()
        self._faults = array("b", [0] * len(FAULTS))
        self._to_go = _PERIODS
        self._began_ms = 0
        mqtt = telemetry.client(board.link, who, boot_id, board.random_u32)
        birth: "dict[int, object]" = {
            signals.SCHEMA_ID: signals.SCHEMA,
            signals.FIRMWARE: VERSION,
            signals.PARAMS_HASH: params_hash,
            signals.CHEMISTRY: who.chemistry,
            signals.TOPOLOGY: [who.series, who.temps],
            signals.MACHINE: board.machine,
            signals.CAPACITY: who.capacity_mah,
        }
        self.telemetry = Telemetry(
            mqtt, who, boot_id, birth, _store_bytes(16_384), _store_bytes(4096), _store_bytes(4096)
        )  # fmt: skip
        self._upload = Upload(mqtt, who.topic("blackbox"), boot_id, recorder.memory.trips)
        gc.collect()
        birth[signals.HEAP_FREE] = gc.mem_free() if hasattr(gc, "mem_free") else 0

    def begin(self) -> None:
        """The first tick is near: device time counts from here, as the tick's does."""
        self._began_ms = self._board.clock.ms()

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period: events at once, a tele sample and the cells when they are due."""
        out = self.telemetry
        now_ms = snapshot.device_ms
        utc_ms = self._board.afe.take_utc_ms()
        if utc_ms:
            out.set_utc(utc_ms, "rig", now_ms)
        self._fill(snapshot, estimate)
        self._fill_control(estimate)
        n_faults = self._list_faults(snapshot.faults)
        self._events(now_ms, snapshot, estimate, n_faults)
        self._to_go -= 1
        if self._to_go == 0:
            self._to_go = _PERIODS
            out.report(now_ms, self._row, self._faults, n_faults)
            out.cells(now_ms, snapshot, estimate.balance)
        estimate.kept = min(out.pending, 0xFFFF)
        estimate.next_seq = out.next_seq

    def poll(self) -> None:
        """Advance the link to the broker."""
        now_ms = self._board.clock.ms() - self._began_ms
        self.telemetry.poll(now_ms)
        self._upload.poll(now_ms)

    def _fill(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        row = self._row
        fast = snapshot.fast_known
        row[_KEY["pack_voltage_v"]] = snapshot.pack_mv if fast else MISSING
        row[_KEY["current_a"]] = snapshot.current_ma if fast else MISSING
        row[_KEY["link_voltage_v"]] = snapshot.link_mv if fast else MISSING
        soc_known = estimate.sigma_cpct < UNKNOWN_CPCT
        row[_KEY["soc"]] = estimate.soc_cpct if soc_known else MISSING
        row[_KEY["soc_sigma"]] = estimate.sigma_cpct if soc_known else MISSING
        cells = snapshot.cells_known
        row[_KEY["cell_voltage_min_v"]] = snapshot.cell_min_mv if cells else MISSING
        row[_KEY["cell_voltage_max_v"]] = snapshot.cell_max_mv if cells else MISSING
        temps = snapshot.temps_known
        row[_KEY["temperature_min_c"]] = snapshot.temp_min_dc if temps else MISSING
        row[_KEY["temperature_max_c"]] = snapshot.temp_max_dc if temps else MISSING
        row[_KEY["isolation_kohm"]] = snapshot.isolation_kohm if temps else MISSING
        row[_KEY["state"]] = snapshot.state
        row[_KEY["gates"]] = snapshot.gates
        late = self._deadlines
        row[_KEY["overruns"]] = self._kernel.overruns + late.late
        row[_KEY["late_task"]] = late.newest if late.late else MISSING
        row[_KEY["link_errors"]] = self._board.afe.errors()

    def _fill_control(self, estimate: "Estimate") -> None:
        row = self._row
        row[_KEY["charge_limit_a"]] = estimate.charge_limit_da
        row[_KEY["discharge_limit_a"]] = estimate.discharge_limit_da
        row[_KEY["charge_limiter"]] = estimate.charge_limiter
        row[_KEY["discharge_limiter"]] = estimate.discharge_limiter
        row[_KEY["balancing"]] = ones(estimate.balance)
        row[_KEY["pump"]] = estimate.pump_pct
        row[_KEY["charge_phase"]] = estimate.charge_phase
        row[_KEY["charge_request_voltage_v"]] = estimate.charge_request_mv
        row[_KEY["charge_request_current_a"]] = estimate.charge_request_ma
        for i in range(len(_OUTLOOK_KEYS)):
            row[_OUTLOOK_KEYS[i]] = estimate.outlook[i]

    def _list_faults(self, bitmap: bytearray) -> int:
        n = 0
        for row in FAULTS:
            if bitmap[row.id >> 3] & 1 << (row.id & 7):
                self._faults[n] = row.id
                n += 1
        return n

    def _events(self, now_ms: int, snapshot: "Snapshot", estimate: "Estimate", n_faults: int) -> None:
        events = self._kernel.monitor.events
        row = self._row
        while events.tail != events.head:
            at = events.tail
            age_ticks = snapshot.tick - events.tick[at] & TICKS_MASK
            if age_ticks > TICKS_MASK >> 1:
                return  # came after the snapshot: next period's, however slow this task is
            row[_KEY["fault"]] = events.fault[at]
            row[_KEY["raised"]] = events.raised[at]
            row[_KEY["value"]] = events.value[at]
            row[_KEY["limit"]] = events.limit[at]
            row[_KEY["index"]] = events.index[at]
            self.telemetry.event(max(0, now_ms - age_ticks * TICK_MS), row, self._faults, n_faults)
            if events.raised[at]:
                self._recorder.trip(
                    snapshot, estimate, age_ticks * TICK_MS, events.tick[at],
                    events.fault[at], events.index[at], events.value[at], events.limit[at],
                )  # fmt: skip
            events.tail = (at + 1) % events.SIZE
