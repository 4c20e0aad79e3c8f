"""The black box over MQTT: its records, each once a boot, on the topic leaf `blackbox`.

A message is {boot_id, now_ms, records, n}; n comes last for the reason that telemetry gives. The records
stay in the journal whatever becomes of the message, so `again` can send them at any time.
"""

from bms.link import cbor
from bms.link.packets import since
from bms.memory.kinds import FRAME, TRIP
from bms.memory.readout import Readout
from bms.tables import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.link.mqtt import Mqtt
    from bms.memory.journal import Journal

_MESSAGE_BYTES = 640
_TAIL_BYTES = 6
"""Head of a byte string, and n."""
_MOST = 15
"""A count whose CBOR is one byte, below the 16 with which a CONNECT begins."""
_QUIET_MS = 1000


class Upload:
    """Sends what is in `journal`, and waits while it is being written to; `poll` it with the link.

    Allocates while it sends. `again` sends everything once more.
    """

    def __init__(self, mqtt: "Mqtt", topic: bytes, boot_id: int, journal: "Journal") -> None:
        self._mqtt = mqtt
        self._topic = topic
        self._boot = cbor.encode(boot_id)
        self._journal = journal
        self._readout = Readout((journal,))
        self._message = cbor.Encoder(_MESSAGE_BYTES)
        self._committed = -1
        self._changed_at = 0
        self._reading = False
        self._over = False
        self._sent = 0  # seq of the newest record that was put into a message
        self._left = 0  # bytes of the record that had no room in the last one
        self._ready = False

    def again(self) -> None:
        """Send everything once more."""
        self._sent = 0
        self._reading = self._over = False

    def poll(self, now_ms: int) -> None:
        """Send the next message when there is one and the window has a place to spare."""
        if self._journal.committed != self._committed:
            self._committed = self._journal.committed
            self._changed_at = now_ms
            self._reading = self._over = False
        if not self._ready:
            if self._over or since(now_ms, self._changed_at) < _QUIET_MS:
                return
            if not self._reading:
                self._readout.start()
                self._reading = True
                self._left = 0
            self._ready = self._fill(now_ms)
            self._over = not self._ready
        n = self._message.n
        if self._ready and self._mqtt.window(len(self._topic) + n) >= 2:
            self._ready = not self._mqtt.publish(self._topic, self._message.buf, n)

    def _fill(self, now_ms: int) -> bool:
        message = self._message
        records = self._readout.records
        message.reset()
        message.map(4)
        message.integer(signals.BOOT_ID)
        message.encoded(self._boot)
        message.integer(signals.NOW_MS)
        message.integer(now_ms)
        message.integer(signals.RECORDS)
        at = message.reserve(1)
        count = 0
        self._left = self._left or self._next()
        while self._left and count < _MOST and message.n + self._left + _TAIL_BYTES <= _MESSAGE_BYTES:
            message.bytes(records.page[records.start : records.start + self._left])
            self._sent = records.seq
            count += 1
            self._left = self._next()
        message.buf[at] = 0x80 | count
        message.integer(signals.N)
        message.integer(count)
        return count > 0

    def _next(self) -> int:
        records = self._readout.records
        while True:
            n = self._readout.next_record()
            if not n or (records.seq > self._sent and records.kind in (TRIP, FRAME)):
                return n
