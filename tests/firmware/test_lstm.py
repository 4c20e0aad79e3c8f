"""The int8 LSTM: the bits of TensorFlow Lite Micro, on every interpreter; no heap; clear errors."""

import binascii
import gc
import sys

import micropython
from bms.estimate.lstm import Lstm
from bms.memory.crc import crc32
from lstm_golden import CASES, SEED
from lstm_vectors import drive

from array import array

STEPS = 2_000 if sys.implementation.name == "micropython" else 100


def blob_of(name: str) -> bytearray:
    for case in CASES:
        if case[0] == name:
            return bytearray(binascii.a2b_base64(case[2]))
    raise ValueError(name)


def sealed(blob: bytearray) -> bytearray:
    """With a CRC that fits."""
    found = array("H", [0, 0])
    crc32(blob, 20, len(blob) - 20, found)
    for i in range(2):
        blob[16 + 2 * i] = found[i] & 255
        blob[17 + 2 * i] = found[i] >> 8
    return blob


def refused(blob: "bytearray | bytes") -> str:
    try:
        Lstm(blob)
    except ValueError as error:
        return str(error)
    raise AssertionError("was taken")


def test_the_bits_of_tensorflow_lite_micro():
    for name, units, text, marks in CASES:
        assert drive(binascii.a2b_base64(text), units, STEPS, SEED) == marks[STEPS], name


def test_reset_forgets():
    blob = blob_of("asymmetric")
    net = Lstm(blob)
    first = [net.step() for _ in range(20)]
    assert first[0] != first[-1]
    net.reset()
    assert [net.step() for _ in range(20)] == first


def test_weights_are_read_in_place():
    blob = blob_of("one")
    net = Lstm(blob)
    before = net.step()
    for i in range(len(blob) - 8, len(blob)):
        blob[i] = 255
    net.reset()
    assert net.step() != before


def test_a_step_allocates_nothing():
    net = Lstm(blob_of("stacked"))
    net.step()
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(50):
            net.step()
    finally:
        micropython.heap_unlock()


def test_a_bad_blob_says_what_is_wrong():
    good = blob_of("stacked")
    assert "0 bytes" in refused(b"")
    assert "begin with CKLS" in refused(b"CKLX" + good[4:])
    wrong = bytearray(good)
    wrong[4] = 2
    assert "version is 2, must be 1" in refused(wrong)
    assert "says %d" % len(good) in refused(good[:-1])
    wrong = bytearray(good)
    wrong[-3] ^= 1
    assert "CRC" in refused(wrong)
    wrong = bytearray(good)
    wrong[10] = 9
    assert "9 layers" in refused(sealed(wrong))
    wrong = bytearray(good)
    wrong[8] = 0
    assert "0 features" in refused(sealed(wrong))


def test_a_blob_of_other_sizes_than_it_says_is_refused():
    good = blob_of("stacked")
    for at, value, what in ((24, 0, "0 units"), (24, 9, "says 8 units"), (20, 3, "needs"), (8, 200, "needs")):
        wrong = bytearray(good)
        wrong[at] = value
        assert what in refused(sealed(wrong)), (at, value, refused(sealed(wrong)))


def test_every_cut_blob_is_refused():
    good = blob_of("one")
    for n in range(0, len(good), 31):
        cut = good[:n]
        if n >= 24:
            cut[12] = n & 255
            cut[13] = n >> 8
            sealed(cut)
        refused(cut)
