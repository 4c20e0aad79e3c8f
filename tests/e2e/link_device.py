"""The link of a board alone, on CPython or MicroPython: reports numbered samples until all are acknowledged.

    python link_device.py HOST:PORT PACK SAMPLES SPEED

Device time runs SPEED times as fast as the wall clock, so that deadlines and back-off fit into a test. The
last line is JSON: counters, `pending` samples, and `slowest_poll_ms`, the longest that one poll took.
"""

import json
import os
import sys
import time

_ROOT = __file__.rpartition("/")[0] + "/../.."
sys.path[:0] = [_ROOT + "/firmware", _ROOT + "/boards/unix", _ROOT + "/boards/common"]

from array import array  # noqa: E402

from bms.link import telemetry  # noqa: E402
from bms.link.telemetry import Telemetry  # noqa: E402
from bms.memory.identity import Identity  # noqa: E402
from bms.sample import Snapshot  # noqa: E402
from bms.tables import signals  # noqa: E402
from board import Link  # noqa: E402

_LIMIT_S = 60
_EVERY_MS = 200


def wall_us() -> int:
    if sys.implementation.name == "micropython":
        return int(time.time() * 1_000_000)
    return time.monotonic_ns() // 1000


def random_u32() -> int:
    return int.from_bytes(os.urandom(4), "little")


def main(where: str, pack: str, samples: int, speed: int) -> None:
    who = Identity(
        {
            "tenant": "t",
            "site": "s",
            "pack": pack,
            "chemistry": 0,
            "series": 4,
            "temps": 2,
            "capacity_mah": 3000,
        }
    )
    boot_id = 1 << 32 | random_u32()
    mqtt = telemetry.client(Link(where), who, boot_id, random_u32)
    out = Telemetry(mqtt, who, boot_id, {signals.SCHEMA_ID: signals.SCHEMA}, tele_bytes=32_768)
    row = telemetry.row()
    faults = array("b", [0])
    snapshot = Snapshot(4, 2)
    snapshot.cells_known = True
    start = wall_us()
    slowest = reported = 0
    while reported < samples or out.pending:
        now_us = wall_us()
        if now_us - start > _LIMIT_S * 1_000_000:
            break
        ms = (now_us - start) * speed // 1000
        while reported < samples and ms >= reported * _EVERY_MS:
            row[1] = reported
            out.report(ms, row, faults, 0)
            out.cells(ms, snapshot)
            reported += 1
            if reported % 60 == 0:
                row[20] = reported
                out.event(ms, row, faults, 0)
        out.poll(ms)
        slowest = max(slowest, wall_us() - now_us)
        time.sleep(0.002)
    result = {
        name: getattr(mqtt, name)
        for name in ("connects", "failures", "timeouts", "malformed", "skipped", "published", "why")
    }
    for name in ("pending", "dropped", "acks", "bad_acks", "foreign_acks", "next_seq"):
        result[name] = getattr(out, name)
    result["slowest_poll_ms"] = slowest // 1000
    result["machine"] = sys.implementation.name
    print(json.dumps(result))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
