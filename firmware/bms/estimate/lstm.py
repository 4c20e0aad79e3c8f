"""Streaming int8 LSTM: layers of cells and one output, the state kept, one step a sample.

The network comes as a blob (made by cloud/training/blob.py), little-endian:

    0   "CKLS"         4  u16 version     6  u16 sample period, ms   8  u16 features   10  u16 layers
    12  u32 length    16  u32 CRC-32 of all that follows            20  u32 words      24  words, 32 bit each
    then the weights, int8 + 128: for each layer and gate (input, forget, cell, output) a row a unit over
    (inputs, hidden state), both padded to multiples of 8; then the output layer's row.

Words: units of each layer; each layer's words and the output's (lstm_kernel.py); what the features and the
error bar need (lstm_soc.py). Weights are read where the blob lies; a step allocates nothing.
"""

from array import array

from bms.estimate import lstm_kernel as k
from bms.estimate.lstm_table import SIGMOID
from bms.fixed import address
from bms.memory.crc import crc32

try:
    from native_lstm import step
except ImportError:
    from bms.estimate.lstm_kernel import step

MAGIC = b"CKLS"
VERSION = 1
HEAD = 24
LAYERS_MAX = 4
UNITS_MAX = 256
_LUT = 256


def padded(n: int) -> int:
    """The next multiple of 8."""
    return n + 7 & ~7


def _u16(blob: "bytes | bytearray", at: int) -> int:
    return blob[at] | blob[at + 1] << 8


def _u32(blob: "bytes | bytearray", at: int) -> int:
    return _u16(blob, at) | _u16(blob, at + 2) << 16


def _check(blob: "bytes | bytearray") -> None:
    """Raises ValueError naming what is wrong with the blob's head."""
    if len(blob) < HEAD or bytes(blob[:4]) != MAGIC:
        raise ValueError("network: %d bytes that do not begin with %s" % (len(blob), MAGIC.decode()))
    if _u16(blob, 4) != VERSION:
        raise ValueError("network: version is %d, must be %d" % (_u16(blob, 4), VERSION))
    if _u32(blob, 12) != len(blob):
        raise ValueError("network: has %d bytes, says %d" % (len(blob), _u32(blob, 12)))
    found = array("H", [0, 0])
    crc32(blob, 20, len(blob) - 20, found)
    if found[0] != _u16(blob, 16) or found[1] != _u16(blob, 18):
        raise ValueError("network: CRC is %04x%04x, says %08x" % (found[1], found[0], _u32(blob, 16)))
    if not 1 <= _u16(blob, 10) <= LAYERS_MAX:
        raise ValueError("network: %d layers, can do 1 to %d" % (_u16(blob, 10), LAYERS_MAX))
    if not (_u16(blob, 6) > 0 and _u16(blob, 8) > 0):
        raise ValueError(
            "network: period %d ms, %d features; must be above 0" % (_u16(blob, 6), _u16(blob, 8))
        )


class Lstm:
    """The network of `blob`, which must stay as it is. Raises ValueError naming what is wrong with it.

    Write the features, int8 + 128, to `x[:features]` and call `step`.
    """

    def __init__(self, blob: "bytes | bytearray") -> None:
        _check(blob)
        self.blob = blob
        self.period_ms = _u16(blob, 6)
        self.features = _u16(blob, 8)
        layers = _u16(blob, 10)
        n_words = _u32(blob, 20)
        if n_words < layers or HEAD + 4 * n_words > len(blob):
            raise ValueError("network: %d words do not fit into %d bytes" % (n_words, len(blob)))
        self.words = array("i", bytes(memoryview(blob)[HEAD : HEAD + 4 * n_words]))
        units = [self.words[i] for i in range(layers)]
        for n in units:
            if not 1 <= n <= UNITS_MAX:
                raise ValueError("network: a layer of %d units, can do 1 to %d" % (n, UNITS_MAX))
        self.x = bytearray(padded(self.features) + sum([padded(n) for n in units]))
        self._raw = array("i", [0] * (8 * max(units)))
        # the sigmoid's table, and after it the gates of a layer
        self._gates = array("H", list(SIGMOID) + [0] * (4 * max(units)))
        self._cell = array("H", [0] * sum(units))
        self._layers: "list[k.Layer]" = []
        self.rest = self._lay_out(units)
        self.reset()

    def _lay_out(self, units: "list[int]") -> int:
        """Addresses of what each layer works on; returns the first word after the layers."""
        x_at = address(self.x)
        cell_at = address(self._cell)
        w_at = address(self.blob) + (HEAD + 4 * len(self.words))
        words_at = address(self.words)
        word = len(units)
        weights = HEAD + 4 * len(self.words)
        n_in = padded(self.features)
        last_at, n_last = x_at, 0
        for n in units:
            n_own = padded(n)
            self._need(word + k.BIASES + 8 * n, weights + 4 * n * (n_in + n_own))
            if self.words[word + k.UNITS] != n:
                raise ValueError(
                    "network: layer says %d units, the list %d" % (self.words[word + k.UNITS], n)
                )
            mid = x_at + n_in
            layer = (w_at, x_at, mid, mid + n_own, 4 * n, words_at + 4 * word, n_in, n_in + n_own, cell_at)
            self._layers.append(layer)
            w_at += 4 * n * (n_in + n_own)
            weights += 4 * n * (n_in + n_own)
            word += k.BIASES + 8 * n
            cell_at += 2 * n
            last_at, n_last = mid, n_own
            x_at = mid
            n_in = n_own
        self._need(word + k.OUT_WORDS, weights + n_last)
        self._out = (w_at, last_at, last_at + n_last, words_at + 4 * word, n_last)
        self._raw_at = address(self._raw)
        self._gates_at = address(self._gates)
        return word + k.OUT_WORDS

    def _need(self, words: int, size: int) -> None:
        if words > len(self.words) or size > len(self.blob):
            raise ValueError(
                "network: needs %d words and %d bytes, has %d and %d"
                % (words, size, len(self.words), len(self.blob))
            )

    def reset(self) -> None:
        """Forget what has been seen."""
        for i in range(len(self.x)):
            self.x[i] = 128
        for i in range(len(self._cell)):
            self._cell[i] = 32768
        at = padded(self.features)
        word = n = 0
        word = len(self._layers)
        while n < len(self._layers):
            units = self.words[n]
            for i in range(units):
                self.x[at + i] = self.words[word + k.ZERO]
            at += padded(units)
            word += k.BIASES + 8 * units
            n += 1

    def step(self) -> int:
        """One sample; returns the output, 2^-16."""
        return step(self._layers, self._out, self._raw_at, self._gates_at)
