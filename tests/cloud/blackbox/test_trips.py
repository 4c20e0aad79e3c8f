"""Trips from a pack's black box, through the broker, to the API."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from bms.memory.blackbox import BlackBox
from bms.memory.journal import Journal
from bms.memory.kinds import BLACKBOX_KINDS, FORGIVE, FRAME
from bms.memory.readout import Readout
from bms.memory.records import RECORD_HEAD, seal_record
from bms.sample import Snapshot
from bms.tables import signals
from bms.tables.signals import TRIPPED

from cloud.ingest import decode
from cloud.ingest.decode import DecodeError
from hil.campaigns.simulated_cut import CutNor
from tests.cloud.conftest import Cloud
from tests.cloud.edge import Edge, boot, running

HASH = bytes(range(8))


class Device:
    """The firmware's black box over a flash in memory."""

    def __init__(self, boot_number: int) -> None:
        nor = CutNor(3 * 4096, (), lambda _point, _image: None, 0)
        self.journal = Journal(nor, 0, 3, BLACKBOX_KINDS)
        self.box = BlackBox(self.journal, boot_number, 2, HASH)
        self.snapshot = Snapshot(2, 1)
        self.snapshot.cell_mv[0], self.snapshot.cell_mv[1] = 4260, 4201
        self.snapshot.cell_min_mv, self.snapshot.cell_max_mv = 4201, 4260
        self.snapshot.current_ma = -1500
        self.snapshot.state = TRIPPED
        self.snapshot.faults[0] = 8
        self.snapshot.fast_known = self.snapshot.cells_known = True

    def trip(self, fault: int) -> None:
        """A trip and all its frames."""
        tick = self.snapshot.tick + 18
        self.box.trip(self.snapshot, tick, 5 * tick + 200, fault, 0, 4260, 4250, 10, 9876, 1)
        for _ in range(12):
            self.snapshot.tick += 20
            self.box.frame(self.snapshot, 9876, 250, 1)
            for _ in range(12):
                self.box.step()
                self.journal.step()

    def records(self) -> list[bytes]:
        """Raw records as the read-out gives them."""
        readout = Readout((self.journal,))
        readout.start()
        found: list[bytes] = []
        while n := readout.next_record():
            start = readout.records.start
            found.append(bytes(readout.records.page[start : start + n]))
        return found


def message(boot_id: int, records: list[Any]) -> dict[int, Any]:
    return {
        signals.BOOT_ID: boot_id,
        signals.NOW_MS: 5000,
        signals.RECORDS: records,
        signals.N: len(records),
    }


def raw(kind: int, payload: bytes) -> bytes:
    page = bytearray(256)
    page[RECORD_HEAD : RECORD_HEAD + len(payload)] = payload
    seal_record(page, kind, len(payload), 1)
    return bytes(page[: RECORD_HEAD + len(payload)])


async def test_trips_come_with_their_frames_newest_first_and_once(cloud: Cloud) -> None:
    device = Device(1)
    device.trip(3)
    device.trip(63)
    records = device.records()
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.tele()
        await pack.settled()
        for at in (20, 0, 5, 10, 30):  # some twice, in any order
            await pack.publish("blackbox", message(pack.boot_id, records[at : at + 10]))
        path = "/api/packs/pack-1/trips"
        found = await cloud.until(
            path, lambda body: [len(i["frames"]) for i in body["incidents"]] == [23, 11]
        )
        boots = (await cloud.get("/api/packs/pack-1/integrity"))["streams"]
        only = await cloud.get(path, most=1)
    second, first = found["incidents"]
    assert only["incidents"] == [second]
    assert (first["incident"], second["incident"]) == (1, 2)
    assert first["boot_id"] == boots[0]["boot_id"]
    (trip,) = first["trips"]
    assert (trip["name"], trip["value"], trip["limit"], trip["unit"]) == (
        "cell_over_voltage",
        4260,
        4250,
        "mV",
    )
    assert trip["time_utc_ms"] == boots[0]["offset_ms"] + 290
    assert (trip["cell_voltage_v"], trip["soc"], trip["state"]) == ([4.26, 4.201], 0.9876, "tripped")
    assert (trip["params_hash"], trip["faults"], trip["boot_cause"]) == (HASH.hex(), [3], 2)
    assert second["trips"][0]["name"] == "fault 63"
    frame = first["frames"][0]
    assert [row["offset_ms"] for row in first["frames"]] == list(range(10, 1011, 100))
    assert (frame["current_a"], frame["cell_voltage_max_v"], frame["temperature_max_c"]) == (-1.5, 4.26, None)
    assert frame["current_limit_a"] == 25


async def test_an_incident_of_a_boot_that_was_never_heard_of_has_no_time(cloud: Cloud) -> None:
    device = Device(77)
    device.trip(3)
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.publish("blackbox", message(boot(1), device.records()))
        found = await cloud.until("/api/packs/pack-1/trips", lambda body: bool(body["incidents"]))
    (incident,) = found["incidents"]
    assert (incident["boot_number"], incident["boot_id"]) == (77, None)
    assert incident["trips"][0]["time_utc_ms"] is None


async def test_trips_are_of_one_tenant(cloud: Cloud) -> None:
    device = Device(1)
    device.trip(3)
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.publish("blackbox", message(pack.boot_id, device.records()))
        await cloud.until("/api/packs/pack-1/trips", lambda body: bool(body["incidents"]))
    other = await cloud.api.get("/api/packs/pack-1/trips", headers=await cloud.token("other"))
    assert other.status_code == 404


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (5, "field records is 5"),
        ([5], "field records holds 5"),
        ([b"x"], "a record of 1 bytes"),
        ([raw(FORGIVE, b"")], "a record of kind 7"),
        ([raw(FRAME, b"short")], "a frame record of 5 bytes"),
    ],
)
def test_wrong_records_are_refused(records: Any, reason: str) -> None:
    body = message(1, []) | {signals.RECORDS: records}
    with pytest.raises(DecodeError) as caught:
        decode.decode("blackbox", cbor2.dumps(body))
    assert reason in str(caught.value)
