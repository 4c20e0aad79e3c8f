"""The MQTT client against a broker in memory: deadlines, partial writes, half-open links, wraps."""

import gc
import sys

import micropython
from bms.link.mqtt import WINDOW, Mqtt
from fake_broker import Broker, packet, publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ACK = b"bms/1/t/s/p/ack"
TELE = b"bms/1/t/s/p/tele"
DEADLINE = 5000


class Rig:
    """A client, its broker and a clock."""

    def __init__(self, start_ms: int = 0, random: int = 0, **options: "Any") -> None:
        self.broker = Broker()
        self.ms = start_ms
        self.got: "list[tuple[bytes, bytes]]" = []
        self.mqtt = Mqtt(self.broker, "pack", lambda: random, **options)
        self.mqtt.handler = lambda topic, payload: self.got.append((topic, bytes(payload)))
        self.mqtt.subscribe(ACK)

    def run(self, ms: int, step: int = 10) -> None:
        """Poll for that long."""
        for _ in range(ms // step):
            self.ms = self.ms + step
            self.mqtt.poll(self.ms)

    def until(self, condition: "Callable[[Rig], bool]", most_ms: int = 60_000) -> int:
        """Poll until condition(self) holds; returns the milliseconds it took."""
        start = self.ms
        while not condition(self):
            assert self.ms - start <= most_ms, self.mqtt.why
            self.run(10)
        return self.ms - start


def up(**options: "Any") -> Rig:
    rig = Rig(**options)
    rig.run(100)
    assert rig.mqtt.connected
    return rig


def raises(call: "Callable[..., object]", *args: object, **options: "Any") -> str:
    try:
        call(*args, **options)
    except ValueError as error:
        return str(error)
    raise AssertionError("taken")


def test_connect_carries_name_will_and_credentials():
    rig = up(will=(b"w/t", b"gone", True), user="me", password="secret", keep_alive_s=10)
    expected = b"\x00\x04MQTT\x04\xee\x00\x0a\x00\x04pack\x00\x03w/t\x00\x04gone\x00\x02me\x00\x06secret"
    assert rig.broker.last(1) == expected
    assert rig.broker.last(8)[2:] == b"\x00\x0f" + ACK + b"\x01"


def test_what_cannot_work_is_refused_at_once():
    assert "client id" in raises(Mqtt, Broker(), "", lambda: 0)
    assert "user" in raises(Mqtt, Broker(), "p", lambda: 0, password="x")
    assert "keep_alive_s" in raises(Mqtt, Broker(), "p", lambda: 0, keep_alive_s=0)
    assert "tx_bytes" in raises(Mqtt, Broker(), "p", lambda: 0, tx_bytes=128)
    rig = up()
    assert "tx_bytes" in raises(rig.mqtt.publish, TELE, b"", 4000)
    assert "subscriptions" in raises(lambda: [rig.mqtt.subscribe(bytes(200)) for _ in range(20)])


def test_publishes_arrive_whole_through_a_line_that_takes_a_byte_at_a_time():
    rig = Rig()
    rig.broker.takes = rig.broker.gives = 1
    rig.until(lambda rig: rig.mqtt.connected)
    for n in (0, 1, 90, 100, 110, 200):
        payload = bytes(i & 255 for i in range(n))
        assert rig.mqtt.publish(TELE, payload, n, n == 90)
        rig.until(lambda rig: rig.mqtt.acknowledged == rig.mqtt.published)
        assert rig.broker.messages()[-1] == (TELE, payload, 1 if n == 90 else 0)


def test_the_window_holds_four_and_opens_with_each_puback():
    rig = up()
    rig.broker.answers[3] = False
    for _ in range(WINDOW):
        assert rig.mqtt.publish(TELE, b"x", 1)
    assert not rig.mqtt.publish(TELE, b"x", 1)
    assert rig.mqtt.window(1) == 0
    rig.run(20)
    assert rig.broker.counts[3] == WINDOW
    rig.broker.out.extend(b"\x40\x02\x00\x03")
    rig.run(10)
    assert rig.mqtt.window(1) == 1


def test_publish_says_no_while_not_connected():
    rig = Rig()
    assert not rig.mqtt.publish(TELE, b"x", 1)
    rig.broker.answers[8] = False
    rig.run(100)
    assert not rig.mqtt.publish(TELE, b"x", 1)


def lost(rig: Rig, least: int, most: int) -> None:
    failures = rig.mqtt.failures
    took = rig.until(lambda rig: rig.mqtt.failures > failures)
    assert least <= took <= most, took
    assert not rig.mqtt.connected


def test_every_wait_has_a_deadline_and_ends_in_a_new_connection():
    for kind, why in ((1, "no CONNACK"), (8, "no SUBACK"), (3, "no PUBACK"), (12, "no PINGRESP")):
        rig = Rig()
        rig.broker.answers[kind] = False
        if kind in (3, 12):
            rig.until(lambda rig: rig.mqtt.connected)
        if kind == 3:
            rig.mqtt.publish(TELE, b"x", 1)
        ping = 5000 if kind == 12 else 0
        lost(rig, DEADLINE + ping - 100, DEADLINE + ping + 100)
        assert rig.mqtt.why == why
        assert rig.mqtt.timeouts == 1
        assert rig.broker.closes == 1
        rig.broker.answers[kind] = True
        rig.until(lambda rig: rig.mqtt.connected, 2100)


def test_a_broker_that_cannot_be_reached_is_tried_for_ever_but_gently():
    rig = Rig(random=0xFFFFFFFF)
    rig.broker.reachable = False
    rig.run(600_000, 100)
    assert rig.mqtt.why == "no link to the broker"
    # 30 s of back-off and 5 s of trying are a round, after the first four
    assert 15 <= rig.mqtt.failures <= 25
    rig.broker.reachable = True
    rig.until(lambda rig: rig.mqtt.connected, 36_000)


def test_back_off_doubles_with_jitter_between_1_and_30_s():
    for random, expected in ((0, [1, 2, 4, 8, 16, 16]), (15_999, [2, 4, 8, 16, 30, 30])):
        rig = Rig(random=random)
        rig.broker.connack = b"\x20\x02\x00\x05"
        rig.run(20)
        waits: "list[float]" = []
        for _ in range(6):
            failures = rig.mqtt.failures
            waits.append(rig.until(lambda rig, failures=failures: rig.mqtt.failures > failures) / 1000)
        for i in range(6):
            assert expected[i] - 0.02 <= waits[i] <= expected[i] + 0.02, waits
    assert rig.mqtt.refused == 7
    assert "code 5" in rig.mqtt.why


def test_back_off_starts_small_again_only_after_a_link_that_held():
    rig = Rig()
    for held_ms, least, most in ((0, 900, 1100), (100, 1900, 2100), (100, 3900, 4100), (12_000, 900, 1100)):
        if held_ms:
            rig.until(lambda rig: rig.mqtt.connected)
            rig.run(held_ms)
        else:
            rig.broker.connack = b"\x20\x02\x00\x03"
            rig.run(20)
            rig.broker.connack = b"\x20\x02\x00\x00"
        rig.broker.hung_up = True
        rig.run(10)
        opens = rig.broker.opens
        took = rig.until(lambda rig, opens=opens: rig.broker.opens > opens)
        assert least <= took <= most, (held_ms, took)


def test_hang_up_and_stream_errors_reconnect():
    rig = up()
    rig.broker.hung_up = True
    rig.run(10)
    assert rig.mqtt.why == "link closed"
    rig.until(lambda rig: rig.mqtt.connected)

    def broken(*_):
        raise OSError(104)

    for name in ("readinto", "write", "close", "open"):
        good = getattr(rig.broker, name)
        setattr(rig.broker, name, broken)
        if name in ("close", "open"):
            rig.broker.hung_up = True
        rig.mqtt.publish(TELE, b"x", 1)
        rig.until(lambda rig: not rig.mqtt.connected)
        rig.run(3000)
        setattr(rig.broker, name, good)
        rig.broker.hung_up = False
        rig.until(lambda rig: rig.mqtt.connected, 40_000)


def test_a_link_that_takes_no_bytes_is_given_up():
    rig = up()
    rig.broker.takes = 0
    rig.mqtt.publish(TELE, b"x", 1)
    lost(rig, DEADLINE - 100, DEADLINE + 100)
    rig.broker.takes = 4096
    rig.until(lambda rig: rig.mqtt.connected)
    assert rig.broker.counts[3] == 0  # nothing of the old connection leaks into the new one


def test_half_open_link_is_noticed_without_anything_to_say():
    rig = up()
    rig.run(60_000)
    assert rig.mqtt.failures == 0
    assert 10 <= rig.broker.counts[12] <= 13
    for kind in rig.broker.answers:
        rig.broker.answers[kind] = False
    lost(rig, DEADLINE - 100, 2 * DEADLINE + 100)


def test_garbage_before_the_connack_is_passed_over():
    old = publish(TELE, b"\x20\x02\x07 of an old session", 9)
    for garbage in (
        old, b"\x40\x02\x00\x01" * 9, b"\xff" * 700, b"\x20", b"\x20\x02", b"\x20\x20\x02", old[:9], old[5:],
        bytes(range(256)), b"\x30\xff\xff\xff\x7f", b"\x20\x02\x00",
    ):  # fmt: skip
        for gives in (1, 3, 4096):
            rig = Rig()
            rig.broker.gives = gives
            rig.broker.before_connack = garbage
            rig.run(2000)
            assert rig.mqtt.connected, garbage
            assert rig.mqtt.connects == 1
            assert rig.mqtt.failures == 0
            assert rig.got == []


def test_a_false_connack_in_old_bytes_costs_one_retry():
    rig = Rig()
    rig.broker.answers[1] = rig.broker.answers[8] = False
    rig.broker.before_connack = b"\x01\x20\x02\x00\x00"
    rig.run(100)
    assert not rig.mqtt.connected
    lost(rig, DEADLINE - 200, DEADLINE + 100)
    rig.broker.answers[1] = rig.broker.answers[8] = True
    rig.broker.before_connack = b""
    rig.until(lambda rig: rig.mqtt.connected, 2100)


def test_answers_of_an_old_session_are_not_taken_for_new_ones():
    rig = Rig()
    rig.broker.answers[8] = False
    rig.run(50)
    rig.broker.out.extend(b"\x90\x03\x77\x77\x01" + b"\x40\x02\x00\x01" + b"\xd0\x00" + b"\x50\x02\x00\x01")
    rig.run(50)
    assert not rig.mqtt.connected
    assert rig.mqtt.failures == 0
    assert rig.mqtt.skipped == 3
    rig.broker.out.extend(packet(0x90, rig.broker.last(8)[:2] + b"\x01"))
    rig.run(10)
    assert rig.mqtt.connected
    assert rig.mqtt.skipped == 3


def test_a_refused_subscription_is_no_connection():
    rig = Rig()
    rig.broker.suback_codes = b"\x80"
    rig.run(50)
    assert not rig.mqtt.connected
    assert (rig.mqtt.refused, rig.mqtt.why) == (1, "SUBSCRIBE refused")
    rig.broker.suback_codes = b"\x00"
    rig.until(lambda rig: rig.mqtt.connected)


def test_messages_come_in_at_both_qos_whole_or_byte_by_byte():
    for gives in (1, 7, 4096):
        rig = up()
        rig.broker.gives = gives
        long = bytes(i & 255 for i in range(900))
        for data in (
            publish(ACK, b"zero"),
            publish(ACK, b"one", 0x1234),
            publish(b"x", b""),
            publish(ACK, long, 7),
        ):
            rig.broker.out.extend(data)
        rig.run(5000, 1)
        assert rig.got == [(ACK, b"zero"), (ACK, b"one"), (b"x", b""), (ACK, long)]
        assert [body for kind, _, body in rig.broker.heard if kind == 4] == [b"\x12\x34", b"\x00\x07"]


def test_a_message_larger_than_the_buffer_is_skipped_counted_and_acknowledged():
    rig = up()
    rig.broker.out.extend(publish(ACK, bytes(20_000), 5) + publish(ACK, b"after"))
    rig.run(500)
    assert rig.got == [(ACK, b"after")]
    assert rig.mqtt.oversized == 1
    assert rig.broker.last(4) == b"\x00\x05"
    rig.broker.out.extend(publish(bytes(1100), b"", 6) + publish(ACK, b"on"))
    rig.run(100)
    assert rig.got[-1] == (ACK, b"on")
    assert rig.mqtt.oversized == 2


def test_a_storm_of_messages_never_overruns_the_answers():
    rig = up()
    rig.broker.keep = False
    got = [0]

    def count(topic: bytes, payload: memoryview) -> None:
        got[0] += 1

    rig.mqtt.handler = count
    rig.broker.takes = 3
    for i in range(1, 600):
        rig.broker.out.extend(publish(b"x", b"", i))
    rig.until(lambda rig: rig.broker.counts[4] == 599, 20_000)
    assert got[0] == 599
    assert rig.mqtt.failures == 0


def test_what_no_server_sends_ends_the_connection():
    for data in (
        b"\x00\x00", b"\x10\x00", b"\xf0\x00", b"\xe0\x00", b"\x30\x80\x80\x80\x80\x01",
        b"\x40\x03\x00\x01\x00",
        b"\x36\x05\x00\x01x\x00\x01", b"\x30\x02\x00\x05", b"\x30\x01\x00", b"\x32\x03\x00\x01x", b"\x30\x00",
        b"\x30\x02\x00\x00", b"\x90\x02\x00\x01",
    ):  # fmt: skip
        rig = up()
        rig.broker.out.extend(data)
        rig.run(10)
        assert (rig.mqtt.malformed, rig.mqtt.failures) == (1, 1), data
        rig.until(lambda rig: rig.mqtt.connected)


def test_packet_ids_wrap_and_pass_over_those_in_flight():
    rig = up()
    broker = rig.broker
    broker.keep = False
    ids: "list[int]" = []
    broker.seen_id = ids.append
    rig.mqtt.in_flight.last = 65_400  # as after 65,400 publishes
    broker.answers[3] = False
    assert rig.mqtt.publish(TELE, b"x", 1)  # stays in flight while the others go round
    rig.run(10)
    stuck = ids[0]
    broker.answers[3] = True
    for _ in range(300):
        assert rig.mqtt.publish(TELE, b"x", 1)
        rig.mqtt.poll(rig.ms)
        rig.mqtt.poll(rig.ms)
    assert 0 not in ids
    assert max(ids) == 65_535
    assert ids.index(1) == ids.index(65_535) + 1
    rig.mqtt.in_flight.last = stuck - 2
    for expected in (stuck - 1, stuck + 1):
        rig.mqtt.publish(TELE, b"x", 1)
        rig.mqtt.poll(rig.ms)
        assert ids[-1] == expected
        rig.mqtt.poll(rig.ms)
    assert rig.mqtt.failures == 0


def test_the_clock_may_wrap_anywhere():
    for start in (0x3FFFFFFF - 50, 0x3FFFFFFF - 3000, 0x7FFFFFFF - 3000, 2**40 - 3000):
        rig = Rig(start_ms=start)
        # ticks_ms of MicroPython: the same time modulo 2^30
        rig.run(12_000)
        assert rig.mqtt.connected
        assert rig.mqtt.failures == 0
        rig.broker.answers[3] = False
        rig.mqtt.publish(TELE, b"x", 1)
        lost(rig, DEADLINE - 100, DEADLINE + 100)
    broker = Broker()
    mqtt = Mqtt(broker, "pack", lambda: 0)
    for ms in range(0x3FFFFFFF - 20_000, 0x3FFFFFFF + 20_000, 50):
        mqtt.poll(ms & 0x3FFFFFFF)
    assert mqtt.connected
    assert (mqtt.failures, mqtt.connects) == (0, 1)


class Quiet:
    """A broker that allocates nothing: PUBACKs the one message that the test sends over and over."""

    def __init__(self) -> None:
        self.replies = []
        self.at = 0
        self.puback = bytearray(b"\x40\x02\x00\x00")
        self.due = 0

    def open(self) -> bool:
        self.at = 0
        return True

    def close(self) -> None:
        pass

    def readinto(self, buf: bytearray) -> int:
        if not self.due:
            return 0
        self.due -= 1
        source = self.puback
        if self.at < 1:
            self.at += 1
            source = b"\x20\x02\x00\x00"
        i = 0
        while i < 4:
            buf[i] = source[i]
            i += 1
        return 4

    def write(self, buf: bytearray, n: int) -> int:
        if buf[0] == 0x10:
            self.due = 1
        elif buf[0] == 0x32:
            at = 4 + len(TELE)
            self.puback[2] = buf[at]
            self.puback[3] = buf[at + 1]
            self.due = 1
        return n


def test_seventy_thousand_publishes():
    # more than there are packet ids; where every instruction is emulated, the other wrap test must do
    count = 70_000 if sys.platform in ("linux", "darwin") else 700
    broker = Quiet()
    mqtt = Mqtt(broker, "pack", lambda: 0)
    ms = 0
    while mqtt.acknowledged < count:
        ms += 1
        mqtt.publish(TELE, b"x", 1)
        mqtt.poll(ms)
        assert ms < 2 * count
    assert mqtt.failures == 0
    assert mqtt.skipped == 0


def test_publishing_allocates_nothing():
    broker = Quiet()
    mqtt = Mqtt(broker, "pack", lambda: 0)
    for ms in range(10):
        mqtt.poll(ms)
    assert mqtt.connected
    payload = bytearray(100)
    gc.collect()
    micropython.heap_lock()
    try:
        ms = 10
        while ms < 4000:
            mqtt.publish(TELE, payload, 100)
            mqtt.poll(ms)
            ms += 10
    finally:
        micropython.heap_unlock()
    assert mqtt.acknowledged > 390
    assert mqtt.failures == 0
