"""Capacity, rests, resistance and imbalance in checked mode: no intermediate leaves 32 bits. CPython only."""

from __future__ import annotations

import types

import pytest
import test_imbalance
import test_resistance
import test_rest
import test_soh
from bms.estimate import curve, imbalance, resistance, rest, soh
from bms.int32 import checked, int32


def watched(module: types.ModuleType) -> types.ModuleType:
    """A watched copy; lists that are made longer by `*` pass."""
    copy = checked(module)
    copy.__dict__["_int32"] = whole
    return copy


def whole(value: object) -> object:
    """A number is watched, anything else passes."""
    return int32(value) if isinstance(value, int) else value


def test_no_intermediate_leaves_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    # the same digests, computed by the watched copies
    own_soh = watched(soh)
    monkeypatch.setattr(own_soh, "Curve", watched(curve).Curve)
    monkeypatch.setattr(test_soh, "Capacity", own_soh.Capacity)
    monkeypatch.setattr(test_rest, "Rest", watched(rest).Rest)
    monkeypatch.setattr(test_resistance, "Resistance", watched(resistance).Resistance)
    monkeypatch.setattr(test_imbalance, "Imbalance", watched(imbalance).Imbalance)
    test_soh.test_random_pairs_give_the_same_words_everywhere()
    test_rest.test_random_samples_give_the_same_words_everywhere()
    test_resistance.test_random_steps_give_the_same_words_everywhere()
    test_imbalance.test_random_rests_give_the_same_words_everywhere()
