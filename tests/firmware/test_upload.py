"""The black box over MQTT: every record once, whole, and not while it is being written."""

from bms.link import cbor, telemetry
from bms.link.upload import Upload
from bms.memory import trips
from bms.memory.blackbox import AFTER, BEFORE, BlackBox
from bms.memory.identity import Identity
from bms.memory.journal import Journal
from bms.memory.kinds import BLACKBOX_KINDS, FORGIVE
from bms.sample import Snapshot
from bms.tables import signals
from fake_broker import Broker
from ram_nor import Nor

BOOT = 9 << 32 | 5
WHO: "dict[str, object]" = {
    "tenant": "t", "site": "s", "pack": "p", "chemistry": 0, "series": 4, "temps": 2, "capacity_mah": 3000,
}  # fmt: skip
TOPIC = b"bms/1/t/s/p/blackbox"


class Rig:
    def __init__(self, nor: Nor) -> None:
        who = Identity(dict(WHO))
        self.broker = Broker()
        self.mqtt = telemetry.client(self.broker, who, BOOT, lambda: 0)
        self.journal = Journal(nor, 0, 3, BLACKBOX_KINDS)
        self.box = BlackBox(self.journal, 9, 0, b"12345678")
        self.upload = Upload(self.mqtt, who.topic("blackbox"), BOOT, self.journal)
        self.ms = 0

    def run(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.ms += 20
            self.mqtt.poll(self.ms)
            self.upload.poll(self.ms)

    def incident(self, fault: int) -> None:
        snapshot = Snapshot(4, 2)
        for n in range(BEFORE + AFTER + 2):
            if n == BEFORE:
                self.box.trip(snapshot, 20 * n, 100 * n, fault, 0, 1, 2, 3, 5000, 0)
            snapshot.tick = 20 * n
            self.box.frame(snapshot, 5000, 0, 0)
            for _ in range(20):
                self.box.step()
                self.journal.step()

    def take(self) -> "list[tuple[int, int, bytes]]":
        """Records of the messages that came since the last call."""
        found: "list[tuple[int, int, bytes]]" = []
        for topic, payload, retain in self.broker.messages():
            assert topic == TOPIC and not retain and len(payload) <= 640
            body: "dict[int, object]" = cbor.decode(payload)  # pyright: ignore[reportAssignmentType]
            records: "list[bytes]" = body[signals.RECORDS]  # pyright: ignore[reportAssignmentType]
            assert body[signals.BOOT_ID] == BOOT and body[signals.N] == len(records)
            assert payload[-1] == len(records) < 16
            found += [trips.parse(raw) for raw in records]
        self.broker.heard.clear()
        return found


def test_every_record_is_sent_once_and_again_when_asked():
    nor = Nor(3)
    rig = Rig(nor)
    rig.incident(3)
    rig.run(900)
    assert rig.take() == [], "not while it may still be written to"
    rig.run(3000)
    first = rig.take()
    assert first == list(trips.records(nor, 0, 3)) and len(first) == 1 + BEFORE + AFTER + 1
    rig.run(3000)
    assert rig.take() == []
    rig.incident(4)
    rig.journal.append(FORGIVE, b"", 0)
    rig.journal.step()
    rig.journal.step()
    rig.run(5000)
    second = rig.take()
    assert [incident.trips[0]["fault"] for incident in trips.incidents(second)] == [4]
    rig.upload.again()
    rig.run(5000)
    assert rig.take() == first + second
    again = Rig(nor)
    again.run(5000)
    assert again.take() == first + second, "once a boot"


def test_what_changes_while_it_is_sent_is_sent_too_and_nothing_twice():
    nor = Nor(3)
    rig = Rig(nor)
    rig.incident(3)
    while not rig.broker.messages():
        rig.run(20)
    rig.incident(4)
    rig.run(5000)
    assert rig.take() == list(trips.records(nor, 0, 3))


def test_a_broker_that_is_away_gets_it_later():
    nor = Nor(3)
    rig = Rig(nor)
    rig.broker.reachable = False
    rig.incident(3)
    rig.run(3000)
    assert rig.take() == []
    rig.broker.reachable = True
    rig.run(60_000)
    assert rig.take() == list(trips.records(nor, 0, 3))
