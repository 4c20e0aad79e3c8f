"""Device time to UTC."""

from pathlib import Path

import cbor2
from bms.tables.signals import TELE, topic

from cloud.db import Database
from cloud.ingest import clock, decode
from cloud.ingest.clock import ARRIVAL, PLACED, Clock
from cloud.ingest.schemas import Message
from cloud.ingest.service import Ingest
from tests.cloud import edge

NOW = 1_800_000_000_000


def test_the_least_delay_seen_counts() -> None:
    first = clock.observe(None, 1000, None, None, NOW)
    assert first == Clock(NOW - 1000, ARRIVAL)
    late = clock.observe(first, 2000, None, None, NOW + 1000 + 700)
    assert late == first
    early = clock.observe(late, 3000, None, None, NOW + 2000 - 400)
    assert early == Clock(NOW - 1400, ARRIVAL)


def test_small_improvements_leave_stored_times_alone() -> None:
    first = clock.observe(None, 1000, None, None, NOW)
    assert clock.observe(first, 2000, None, None, NOW + 1000 - clock.STEP_MS + 1) is first


def test_the_device_knows_better() -> None:
    first = clock.observe(None, 1000, None, None, NOW)
    known = clock.observe(first, 2000, NOW + 300, "sntp", NOW + 1000)
    assert known == Clock(NOW - 1700, "sntp")
    assert clock.observe(known, 3000, None, None, NOW - 5000) is known
    assert clock.observe(known, 3000, NOW + 1310, "sntp", NOW + 2000) is known
    stepped = clock.observe(known, 3000, NOW + 1900, "sntp", NOW + 2000)
    assert stepped == Clock(NOW - 1100, "sntp")


def test_an_absurd_utc_is_not_believed() -> None:
    for utc_ms in (0, 1_000_000, NOW + 90_000_000):
        assert clock.observe(None, 1000, utc_ms, "rtc", NOW).source == ARRIVAL


def test_a_boot_never_seen_live_lies_between_its_neighbours() -> None:
    placed = clock.place(None, 500, 4500, after_ms=NOW, before_ms=NOW + 60_000, arrival_ms=NOW + 99_999)
    assert placed == Clock(NOW + 1 - 500, PLACED)
    more = clock.place(placed, 4501, 9000, after_ms=NOW, before_ms=NOW + 60_000, arrival_ms=NOW + 99_999)
    assert more == placed
    squeezed = clock.place(placed, 9001, 80_000, NOW, NOW + 60_000, NOW + 99_999)
    assert squeezed.offset_ms + 80_000 < NOW + 60_000


def test_without_a_boot_before_it_ends_where_the_next_begins() -> None:
    placed = clock.place(None, 0, 5000, after_ms=None, before_ms=NOW, arrival_ms=NOW + 99_999)
    assert placed.offset_ms + 5000 == NOW - 1


def test_a_boot_that_was_live_is_not_placed() -> None:
    live = Clock(NOW, ARRIVAL)
    assert clock.place(live, 0, 5000, NOW - 1, NOW + 1, NOW) is live
    assert clock.observe(Clock(0, PLACED), 0, None, None, NOW) == live


def test_a_clock_that_runs_fast_does_not_rewrite_the_boot_with_every_message(tmp_path: Path) -> None:
    where = topic("t", "s", "p", TELE)
    db, ingest = Database(tmp_path / "store.sqlite3"), Ingest(16)
    offsets: list[int] = []
    try:
        for seq in range(256):
            # a second of device time in a millisecond of ours: every message improves the offset
            payload = cbor2.dumps(edge.message(1, seq, [edge.tele(seq * 1000)], seq * 1000))
            body = decode.decode(TELE, payload)
            message = Message(where, payload, NOW + seq, False, decode.address(where), body)
            db.write_now(ingest.commit, [message])
            with db.reader() as reader:
                offsets.append(reader.execute("SELECT offset_ms FROM boots").fetchone()[0])
        with db.reader() as reader:
            wrong = "SELECT count(*) FROM tele WHERE time_utc_ms - device_ms != (SELECT offset_ms FROM boots)"
            assert reader.execute(wrong).fetchone()[0] == 0
    finally:
        db.close()
    assert offsets[-1] < offsets[0]
    assert len(set(offsets)) <= 32
