"""The AFE link as the firmware sees it: what is taken in, what is refused and counted."""

import struct

from bms.link import frame
from bms.link.afe_serial import SerialAfe
from bms.sample import LARGEST_MA, OPEN_WIRE, Command, Estimate, Sample
from rigless import Feed, Line


def fresh():
    line = Line()
    return line, SerialAfe(line), Sample(4, 2), Feed()


def test_takes_in_all_groups():
    line, afe, sample, feed = fresh()
    line.load(
        feed.cells([3700, 3701, 3702, 3703]) + feed.temps([-105, 250]) + feed.fast(-17_400, 14_806, 120, 5)
    )
    afe.read(sample)
    assert list(sample.fast) == [-17_400, 14_806, 120, 5]
    assert list(sample.cell_mv) == [3700, 3701, 3702, 3703]
    assert list(sample.temp_dc) == [-105, 250]
    assert list(sample.seq) == [1, 1, 1]
    assert sample.isolation_kohm == 1000
    assert afe.errors() == 0


def test_lockstep_takes_one_tick_at_a_time():
    line, afe, sample, feed = fresh()
    afe.lockstep = True
    line.load(feed.fast(1, 0, 0) + feed.end() + feed.fast(2, 0, 0) + feed.end() + feed.end())
    afe.read(sample)
    assert sample.current_ma == 1
    afe.read(sample)
    assert sample.current_ma == 2
    afe.read(sample)
    assert sample.seq[0] == 2


def test_free_running_takes_the_newest():
    line, afe, sample, feed = fresh()
    line.load(feed.fast(1, 0, 0) + feed.end() + feed.fast(2, 0, 0))
    afe.read(sample)
    assert (sample.current_ma, sample.seq[0]) == (2, 2)


def test_repeated_and_older_frames_are_no_arrivals():
    line, afe, sample, feed = fresh()
    old = feed.fast(1, 0, 0) + feed.end()
    new = feed.fast(2, 0, 0) + feed.end()
    line.load(old + new + new + old)
    afe.read(sample)
    assert (sample.current_ma, sample.seq[0]) == (2, 2)
    again = feed.frame(frame.CONFIG, struct.pack(frame.CONFIG_FORMAT, 4, 2, frame.MODE_FREE, 7))
    line.load(again + old)  # a rig that begins anew
    afe.read(sample)
    assert (sample.current_ma, sample.seq[0]) == (1, 3)


def test_a_frame_in_pieces():
    line, afe, sample, feed = fresh()
    data = feed.fast(-5, 6, 7)
    for i in range(len(data)):
        line.load(data[i : i + 1])
        afe.read(sample)
    assert (sample.current_ma, sample.seq[0]) == (-5, 1)


def test_every_flipped_bit_is_refused():
    line, afe, sample, feed = fresh()
    data = feed.fast(1234, 5678, 9)
    for i in range(len(data) - 1):
        for bit in range(8):
            bad = bytearray(data)
            bad[i] ^= 1 << bit
            line.load(bytes(bad) + b"\x00")
            afe.read(sample)
    assert sample.seq[0] == 0
    assert afe.errors() > 0
    line.load(data)
    afe.read(sample)
    assert sample.seq[0] == 1


def test_wrong_lengths_are_counted_and_change_nothing():
    line, afe, sample, feed = fresh()
    for kind, payload in (
        (frame.FAST, b"\x00" * 13),
        (frame.FAST, b""),
        (frame.CELLS, b""),
        (frame.CELLS, struct.pack("<BBBHH", 0, 3, 0, 1, 2)),
        (frame.TEMPS, struct.pack("<BBHh", 2, 0, 0, 1)),
        (frame.TIME, b"\x01"),
        (frame.CONFIG, b"\x01"),
    ):
        before = afe.errors()
        line.load(feed.frame(kind, payload))
        afe.read(sample)
        assert afe.errors() == before + 1, (kind, payload)
        feed.end()
    assert list(sample.seq) == [0, 0, 0]


def test_cells_outside_the_string_are_refused():
    line, afe, sample, feed = fresh()
    line.load(feed.cells([1, 2, 3, 4, 5]) + feed.cells([9], first=4) + feed.temps([1, 2, 3]))
    afe.read(sample)
    assert afe.errors() == 3
    assert list(sample.cell_mv) == [0, 0, 0, 0]


def test_a_set_in_blocks_counts_once_it_is_whole():
    line, afe, sample, feed = fresh()
    line.load(feed.cells([12, 13], first=2))  # its beginning is missing
    afe.read(sample)
    assert sample.seq[1] == 0
    feed.end()
    line.load(feed.cells([10, 11], first=0))
    afe.read(sample)
    assert sample.seq[1] == 0
    line.load(feed.cells([12, 13], first=2))
    afe.read(sample)
    assert sample.seq[1] == 1
    assert list(sample.cell_mv) == [10, 11, 12, 13]


def test_extreme_currents_saturate():
    line, afe, sample, feed = fresh()
    line.load(feed.fast(2**31 - 1, 2**31 - 1, 0))
    afe.read(sample)
    assert list(sample.fast)[:2] == [LARGEST_MA, LARGEST_MA]
    feed.end()
    line.load(feed.fast(-(2**31), 0, 0))
    afe.read(sample)
    assert sample.current_ma == -LARGEST_MA


def test_config_counts_once_and_time_is_kept():
    line, afe, sample, feed = fresh()
    line.load(
        feed.frame(frame.CONFIG, struct.pack(frame.CONFIG_FORMAT, 4, 2, frame.MODE_FREE, 7))
        + feed.frame(frame.CONFIG, struct.pack(frame.CONFIG_FORMAT, 9, 9, frame.MODE_LOCKSTEP, 8))
        + feed.frame(frame.TIME, struct.pack(frame.TIME_FORMAT, 1_790_000_000_123))
    )
    assert afe.take_utc_ms() == 0
    afe.read(sample)
    assert (afe.n_cells, afe.n_temps, afe.lockstep) == (4, 2, False)
    assert afe.take_utc_ms() == 1_790_000_000_123
    assert afe.take_utc_ms() == 0


def test_actuate_carries_the_command():
    line, afe, _, _ = fresh()
    command = Command()
    estimate = Estimate()
    estimate.soc_cpct = 9876
    estimate.next_seq = 123_456
    estimate.balance[3] = 0x40
    estimate.pack()
    command.publish(estimate)
    command.body[0:6] = struct.pack("<IBB", 70_000, 5, 3)
    command.bits[1] = 0x80
    assert (command.tick, command.gates, command.state) == (70_000, 5, 3)
    afe.write(command, 0x1234, 0x5678)
    reader = frame.Reader()
    assert reader.feed(line.sent, 0, line.n_sent) == line.n_sent
    assert reader.kind == frame.ACTUATE
    assert reader.raw[4:8] == b"\x34\x12\x78\x56"
    fields = struct.unpack(frame.ACTUATE_FORMAT, bytes(reader.raw[frame.HEADER : reader.size]))
    assert fields[0] == 70_000
    assert fields[1] == 5
    assert fields[5] == 9876
    assert fields[12] == 123_456
    assert fields[13][1] == 0x80
    assert fields[15] == b"\x00\x00\x00\x40"


def test_an_open_wire_is_told_and_its_set_is_no_arrival():
    line, afe, sample, feed = fresh()
    line.load(feed.cells([3700, frame.OPEN_CELL_MV, frame.OPEN_CELL_MV, 3700], quality=OPEN_WIRE))
    afe.read(sample)
    assert (sample.open_wire, sample.seq[1]) == (2, 0)
    feed.end()
    line.load(feed.cells([3700] * 4))
    afe.read(sample)
    assert (sample.open_wire, sample.seq[1]) == (0, 1)


def test_log_lines_are_cut_to_a_frame():
    line, afe, _, _ = fresh()
    afe.log("x" * 500)
    reader = frame.Reader()
    reader.feed(line.sent, 0, line.n_sent)
    assert reader.kind == frame.LOG
    assert reader.size == frame.MAX_RAW - frame.CRC
