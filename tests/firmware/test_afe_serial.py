"""The AFE link as the firmware sees it: what is taken in, what is refused and counted."""

import struct

from bms.link import frame
from bms.link.afe_serial import SerialAfe
from bms.sample import Command, Sample
from rigless import Feed, Line


def fresh():
    line = Line()
    return line, SerialAfe(line), Sample(4, 2), Feed()


def test_takes_in_all_groups():
    line, afe, sample, feed = fresh()
    line.load(
        feed.cells([3700, 3701, 3702, 3703]) + feed.temps([-105, 250]) + feed.fast(-17_400, 14_806, 120)
    )
    afe.read(sample)
    assert (sample.current_ma, sample.pack_mv, sample.link_mv) == (-17_400, 14_806, 120)
    assert list(sample.cell_mv) == [3700, 3701, 3702, 3703]
    assert list(sample.temp_dc) == [-105, 250]
    assert (sample.fast_seq, sample.cells_seq, sample.temps_seq) == (1, 1, 1)
    assert sample.isolation_kohm == 1000
    assert afe.errors() == 0


def test_lockstep_takes_one_tick_at_a_time():
    line, afe, sample, feed = fresh()
    afe.lockstep = True
    line.load(feed.fast(1, 0, 0) + feed.fast(2, 0, 0))
    afe.read(sample)
    assert sample.current_ma == 1
    afe.read(sample)
    assert sample.current_ma == 2


def test_free_running_takes_the_newest():
    line, afe, sample, feed = fresh()
    line.load(feed.fast(1, 0, 0) + feed.fast(2, 0, 0))
    afe.read(sample)
    assert (sample.current_ma, sample.fast_seq) == (2, 2)


def test_a_frame_in_pieces():
    line, afe, sample, feed = fresh()
    data = feed.fast(-5, 6, 7)
    for i in range(len(data)):
        line.load(data[i : i + 1])
        afe.read(sample)
    assert (sample.current_ma, sample.fast_seq) == (-5, 1)


def test_every_flipped_bit_is_refused():
    line, afe, sample, feed = fresh()
    data = feed.fast(1234, 5678, 9)
    for i in range(len(data) - 1):
        for bit in range(8):
            bad = bytearray(data)
            bad[i] ^= 1 << bit
            line.load(bytes(bad) + b"\x00")
            afe.read(sample)
    assert sample.fast_seq == 0
    assert afe.errors() > 0
    line.load(data)
    afe.read(sample)
    assert sample.fast_seq == 1


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
    assert (sample.fast_seq, sample.cells_seq, sample.temps_seq) == (0, 0, 0)


def test_cells_outside_the_string_are_refused():
    line, afe, sample, feed = fresh()
    line.load(feed.cells([1, 2, 3, 4, 5]) + feed.cells([9], first=4) + feed.temps([1, 2, 3]))
    afe.read(sample)
    assert afe.errors() == 3
    assert list(sample.cell_mv) == [0, 0, 0, 0]


def test_a_set_in_blocks_counts_once_it_is_whole():
    line, afe, sample, feed = fresh()
    line.load(feed.cells([10, 11], first=0))
    afe.read(sample)
    assert sample.cells_seq == 0
    line.load(feed.cells([12, 13], first=2))
    afe.read(sample)
    assert sample.cells_seq == 1
    assert list(sample.cell_mv) == [10, 11, 12, 13]


def test_extreme_currents_saturate():
    line, afe, sample, feed = fresh()
    line.load(feed.fast(2**31 - 1, 2**32 - 1, 0))
    afe.read(sample)
    assert sample.current_ma == 2**30 - 1
    line.load(feed.fast(-(2**31), 0, 0))
    afe.read(sample)
    assert sample.current_ma == -(2**30)


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
    command.tick = 70_000
    command.gates = 5
    command.soc_cpct = 9876
    command.next_seq = 123_456
    command.faults[1] = 0x80
    afe.write(command, 0x1234, 0x5678)
    reader = frame.Reader()
    assert reader.feed(line.sent, 0, line.n_sent) == line.n_sent
    assert reader.kind == frame.ACTUATE
    assert reader.raw[4:8] == b"\x34\x12\x78\x56"
    fields = struct.unpack(frame.ACTUATE_FORMAT, bytes(reader.raw[frame.HEADER : reader.size]))
    assert fields[0] == 70_000
    assert fields[1] == 5
    assert fields[5] == 9876
    assert fields[9] == 123_456
    assert fields[10][1] == 0x80


def test_log_lines_are_cut_to_a_frame():
    line, afe, _, _ = fresh()
    afe.log("x" * 500)
    reader = frame.Reader()
    reader.feed(line.sent, 0, line.n_sent)
    assert reader.kind == frame.LOG
    assert reader.size == frame.MAX_RAW - frame.CRC
