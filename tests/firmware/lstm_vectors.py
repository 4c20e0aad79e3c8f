"""Runs a network over random inputs, the same on every interpreter."""

from bms.estimate.lstm import Lstm
from ekf_vectors import BITS, Random


def hidden_of(net: Lstm, units: int) -> "bytes | bytearray":
    """Hidden state of the last layer, int8 + 128."""
    at = len(net.x) - (units + 7 & ~7)
    return net.x[at : at + units]


def digest(values: "bytes | bytearray", before: int) -> int:
    """31-bit digest of bytes after those of the steps before."""
    for value in values:
        before = (before * 31 ^ value) & BITS
    return before


def drive(blob: "bytes | bytearray", units: int, steps: int, seed: int) -> "tuple[int, int]":
    """Digests over hidden states and outputs of `steps` random samples."""
    net = Lstm(blob)
    random = Random(seed)
    hidden = outputs = 1
    for _ in range(steps):
        for i in range(net.features):
            net.x[i] = random.below(256)
        y = net.step()
        hidden = digest(hidden_of(net, units), hidden)
        outputs = (outputs * 31 ^ (y & 0xFFFF)) & BITS
    return hidden, outputs
