"""Presets and the fingerprint by which a parameter set is known."""

import hashlib
import struct

from bms.tables.params import CHEMISTRIES, LFP, NMC, PARAMS, defaults, fingerprint, preset


def test_defaults_are_the_presets_of_the_chemistry():
    for chemistry in range(len(CHEMISTRIES)):
        values = defaults(chemistry)
        assert len(values) == len(PARAMS)
        for row in PARAMS:
            assert values[row.name] == preset(row.name, chemistry)[0], row.name


def test_a_preset_with_one_row_holds_for_every_chemistry():
    assert preset("cell_ov_mv", LFP) != preset("cell_ov_mv", NMC)
    for chemistry in range(len(CHEMISTRIES)):
        assert preset("fast_lost_ms", chemistry) == preset("fast_lost_ms", NMC)


def test_the_fingerprint_is_that_of_the_documented_bytes():
    values = defaults(NMC)
    packed = b"".join(struct.pack("<i", values[row.name]) for row in PARAMS)
    assert fingerprint(values) == hashlib.sha256(packed).digest()[:8]


def test_every_single_value_changes_the_fingerprint():
    values = defaults(NMC)
    sound = fingerprint(values)
    for row in PARAMS:
        values[row.name] += 1
        assert fingerprint(values) != sound, row.name
        values[row.name] -= 1
    assert fingerprint(values) == sound
