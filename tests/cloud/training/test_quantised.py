"""The desk's int8 LSTM is TensorFlow Lite Micro's: by its digests, and by itself where installed."""

import binascii
import importlib.util

import numpy as np
import pytest
from bms.estimate.lstm import Lstm

from cloud.training.blob import Output, output_value, pack
from cloud.training.quantised import multiplier, requantise
from tests.cloud.training import golden
from tests.firmware.lstm_golden import CASES, LARGE

NAMES = [case.name for case in golden.CASES]


@pytest.mark.parametrize("n", range(len(golden.CASES)), ids=NAMES)
def test_digests(n: int) -> None:
    case, (name, units, text, marks) = golden.CASES[n], CASES[n]
    assert (name, units) == (case.name, case.units[-1])
    assert pack(*golden.network(case)) == binascii.a2b_base64(text)
    # the device, which is faster at it, goes further (tests/firmware/test_lstm.py)
    steps = golden.MARKS[1 if n == 0 else 0]
    assert golden.digests(case, golden.by_desk(case, steps)) == marks[steps]


def test_two_layers_of_128_and_64_units() -> None:
    hidden = golden.by_desk(golden.LARGE, golden.MARKS[0])
    assert golden.digests(golden.LARGE, hidden) == LARGE
    # and the device's engine: slow on a desk, so a few steps
    layers, output = golden.network(golden.LARGE)
    net = Lstm(pack(layers, output))
    for n, sample in enumerate(golden.inputs(golden.LARGE.inputs, 3)):
        for i, value in enumerate(sample.tolist()):
            net.x[i] = value + 128
        y = net.step()
        assert [b - 128 for b in net.x[-64:]] == hidden[n].tolist()
        assert y == int(output_value(output, layers[-1], hidden[n]))


@pytest.mark.skipif(importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro (extra train)")
@pytest.mark.parametrize("case", [*golden.CASES, golden.LARGE], ids=[*NAMES, "large"])
def test_the_interpreter_itself(case: golden.Case) -> None:
    assert (golden.by_interpreter(case, 150) == golden.by_desk(case, 150)).all()


def test_requantisation_rounds_as_gemmlowp() -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate((rng.integers(-(1 << 22), 1 << 22, 5000), np.arange(-70, 70)))
    for scale in (0.004, 0.25, 0.5, 1 / 64, 1.7):
        m, shift = multiplier(scale)
        for value, got in zip(x.tolist(), requantise(x, m, shift).tolist(), strict=True):
            high = _doubling_high(value << max(shift, 0), m)
            right = max(-shift, 0)
            mask = (1 << right) - 1
            wanted = (high >> right) + int((high & mask) > (mask >> 1) + int(high < 0))
            assert got == wanted, (value, scale)


def _doubling_high(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul as gemmlowp defines it: truncating division after a nudge."""
    product = a * b
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return nudged // (1 << 31) if nudged >= 0 else -(-nudged // (1 << 31))


@pytest.mark.parametrize("scale", [0.0, -1.0, 2.0**-40, 1000.0])
def test_scales_that_the_device_cannot_do(scale: float) -> None:
    with pytest.raises(ValueError, match="outside what the device multiplies by"):
        multiplier(scale)


def test_an_output_scale_that_overflows_is_refused() -> None:
    layers, output = golden.network(golden.CASES[0])
    with pytest.raises(ValueError, match="leave 30 bits"):
        pack(layers, Output(output.values, 0.1, 1 << 26))
