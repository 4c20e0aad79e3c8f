"""The arithmetic of an int8 LSTM, bit for bit that of TensorFlow Lite Micro's reference kernel.

Written for viper: one source for CPython, bytecode and machine code. No product leaves 32 bits; long ones are
split. Whatever viper loads is stored non-negative (a 64-bit host loads words unsigned): activations and
weights as int8 + 128, int16 values + 32768, words + BIAS. With u = w + 128 and v = x + 128 a row's sum is
    sum w (x - zero) = sum u v - 128 sum v + a constant of the row, which stands in its bias.
Pointers are passed as addresses (see bms.fixed); rows and vectors are padded to multiples of 8.
"""

import micropython
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    Layer = tuple[int, int, int, int, int, int, int, int, int]
    """Addresses of weights, inputs, their end and that of the hidden state after them; rows; address of the
    words; length of the inputs alone and with the hidden state; address of the cell state."""
    Out = tuple[int, int, int, int, int]
    """Addresses of weights, inputs, their end and the words; length of the inputs."""

BIAS = const(0x20000000)

# words of a layer
UNITS = const(0)
ZERO = const(1)
"""The hidden state's zero point + 128."""
TANH = const(2)
"""Multiplier, half and shift of the cell state on its way into tanh."""
ADDED = const(5)
"""Half and shift of input gate times cell gate."""
HIDDEN = const(7)
"""Multiplier (high, low), half and shift of tanh times output gate."""
SCALES = const(11)
"""For each gate, inputs and hidden state: multiplier (high, low), left shift, half, right shift."""
BIASES = const(51)
"""For each gate and unit, inputs and hidden state, + BIAS."""

# words of the output layer
OUT_SCALE = const(0)
OUT_BIAS = const(5)
OUT_WORDS = const(6)


@micropython.viper
def dots(w_at: int, x_at: int, acc: int, mid: int, end: int, rows: int, out_at: int):
    """out[2 r], out[2 r + 1] = row r of w times x[:mid] and times x[mid:end].

    The order of the arguments and of the terms is what viper keeps in registers.
    """
    out = ptr32(out_at)
    begin = x_at
    n = 0
    while n < rows:
        x_at = begin
        acc = 0
        while x_at < mid:
            acc = ptr8(w_at)[0] * ptr8(x_at)[0] + acc
            acc = ptr8(w_at)[1] * ptr8(x_at)[1] + acc
            acc = ptr8(w_at)[2] * ptr8(x_at)[2] + acc
            acc = ptr8(w_at)[3] * ptr8(x_at)[3] + acc
            acc = ptr8(w_at)[4] * ptr8(x_at)[4] + acc
            acc = ptr8(w_at)[5] * ptr8(x_at)[5] + acc
            acc = ptr8(w_at)[6] * ptr8(x_at)[6] + acc
            acc = ptr8(w_at)[7] * ptr8(x_at)[7] + acc
            w_at += 8
            x_at += 8
        out[n + n] = acc
        acc = 0
        while x_at < end:
            acc = ptr8(w_at)[0] * ptr8(x_at)[0] + acc
            acc = ptr8(w_at)[1] * ptr8(x_at)[1] + acc
            acc = ptr8(w_at)[2] * ptr8(x_at)[2] + acc
            acc = ptr8(w_at)[3] * ptr8(x_at)[3] + acc
            acc = ptr8(w_at)[4] * ptr8(x_at)[4] + acc
            acc = ptr8(w_at)[5] * ptr8(x_at)[5] + acc
            acc = ptr8(w_at)[6] * ptr8(x_at)[6] + acc
            acc = ptr8(w_at)[7] * ptr8(x_at)[7] + acc
            w_at += 8
            x_at += 8
        out[n + n + 1] = acc
        n += 1


@micropython.viper
def gates(layer_at: int, x_at: int, n_in: int, n_all: int, raw_at: int, out_at: int):
    """The four gates, 16-bit values in the order input, forget, cell (+ 32768), output, from `dots`.

    The table of the sigmoid stands before them.
    """
    p = ptr32(layer_at)
    x = ptr8(x_at)
    raw = ptr32(raw_at)
    lut = ptr16(out_at)
    units = p[UNITS]
    own_sum = 0
    n = 0
    while n < n_in:
        own_sum += x[n]
        n += 1
    back_sum = 0
    while n < n_all:
        back_sum += x[n]
        n += 1
    own_sum = (own_sum << 7) + BIAS
    back_sum = (back_sum << 7) + BIAS
    gate = 0
    i = 0
    while gate < 4:
        s = SCALES + 10 * gate
        n = 0
        while n < units:
            # inputs
            a = raw[i] + p[BIASES + i] - own_sum << p[s + 2]
            low = a & 32767
            a >>= 15
            part = (a * p[s + 1] + (low * p[s + 1] >> 15) >> 1) + low * p[s] + 16384
            total = a * p[s] + (part >> 15)
            if p[s + 4] > 0:
                total = total + p[s + 3] + (total >> 31) >> p[s + 4]
            if total > 32767:
                total = 32767
            if total < -32768:
                total = -32768
            # hidden state
            a = raw[i + 1] + p[BIASES + i + 1] - back_sum << p[s + 7]
            low = a & 32767
            a >>= 15
            part = (a * p[s + 6] + (low * p[s + 6] >> 15) >> 1) + low * p[s + 5] + 16384
            a = a * p[s + 5] + (part >> 15)
            if p[s + 9] > 0:
                a = a + p[s + 8] + (a >> 31) >> p[s + 9]
            if a > 32767:
                a = 32767
            if a < -32768:
                a = -32768
            total += a
            if total > 32767:
                total = 32767
            if total < -32768:
                total = -32768
            # activation
            total = 3 * total
            a = total
            if a < 0:
                a = -a
            if gate == 2:
                low = a >> 8
                if low >= 255:
                    a = 0xFFFF00
                else:
                    part = lut[low]
                    a = (part << 8) + (a & 255) * (lut[low + 1] - part)
                if total >= 0:
                    a = a - 0x7FFF80 >> 8
                else:
                    a = 0x80007F - a >> 8
                a += 32768
            else:
                low = a >> 9
                if low >= 255:
                    a = 0x1FFFC00
                else:
                    part = lut[low]
                    a = (part << 9) + (a & 511) * (lut[low + 1] - part)
                if total >= 0:
                    a = a + 512 >> 10
                else:
                    a = 0x20001FF - a >> 10
            lut[256 + (i >> 1)] = a
            i += 2
            n += 1
        gate += 1


@micropython.viper
def cells(layer_at: int, gates_at: int, cell_at: int, hidden_at: int):
    """Cell state and hidden state of one layer from its gates."""
    p = ptr32(layer_at)
    lut = ptr16(gates_at)
    cell = ptr16(cell_at)
    hidden = ptr8(hidden_at)
    units = p[UNITS]
    n = 0
    i = 256
    while n < units:
        # forget gate times old state
        c = lut[i + units] * (cell[n] - 32768) + 1 >> 1
        c = c + 8192 + (c >> 31) >> 14
        # input gate times new value
        a = lut[i] * (lut[i + units + units] - 32768) + 1 >> 1
        a = a + p[ADDED] + (a >> 31) >> p[ADDED + 1]
        if a > 32767:
            a = 32767
        if a < -32768:
            a = -32768
        c += a
        if c > 32767:
            c = 32767
        if c < -32768:
            c = -32768
        cell[n] = c + 32768
        # its tanh times output gate
        c = c * p[TANH] + p[TANH + 1] >> p[TANH + 2]
        a = c
        if a < 0:
            a = -a
        low = a >> 8
        if low >= 255:
            a = 0xFFFF00
        else:
            part = lut[low]
            a = (part << 8) + (a & 255) * (lut[low + 1] - part)
        if c >= 0:
            a = a - 0x7FFF80 >> 8
        else:
            a = 0x80007F - a >> 8
        a = a * lut[i + 3 * units]
        low = a & 32767
        a >>= 15
        part = (a * p[HIDDEN + 1] + (low * p[HIDDEN + 1] >> 15) >> 1) + low * p[HIDDEN] + 16384
        a = a * p[HIDDEN] + (part >> 15)
        a = (a + p[HIDDEN + 2] + (a >> 31) >> p[HIDDEN + 3]) + p[ZERO]
        if a < 0:
            a = 0
        if a > 255:
            a = 255
        hidden[n] = a
        n += 1
        i += 1


@micropython.viper
def output(layer_at: int, x_at: int, n_in: int, raw_at: int) -> int:
    """The output layer's one value from what `dots` left."""
    p = ptr32(layer_at)
    x = ptr8(x_at)
    raw = ptr32(raw_at)
    total = 0
    n = 0
    while n < n_in:
        total += x[n]
        n += 1
    a = raw[0] + p[OUT_BIAS] - (total << 7) - BIAS << p[OUT_SCALE + 2]
    low = a & 32767
    a >>= 15
    part = (a * p[OUT_SCALE + 1] + (low * p[OUT_SCALE + 1] >> 15) >> 1) + low * p[OUT_SCALE] + 16384
    a = a * p[OUT_SCALE] + (part >> 15)
    if p[OUT_SCALE + 4] > 0:
        a = a + p[OUT_SCALE + 3] + (a >> 31) >> p[OUT_SCALE + 4]
    return a


@micropython.viper
def scale(sources_at: int, rows_at: int, n: int, out_at: int):
    """int8 + 128 features: n rows of (source, what is taken from it + BIAS, multiplier, right shift).

    Sources are words + BIAS.
    """
    sources = ptr32(sources_at)
    rows = ptr32(rows_at)
    out = ptr8(out_at)
    i = 0
    while i < n:
        k = 4 * i
        a = sources[rows[k]] - rows[k + 1]
        if a > 0x1FFFF:
            a = 0x1FFFF
        if a < -0x1FFFF:
            a = -0x1FFFF
        a = (a * rows[k + 2] >> rows[k + 3]) + 128
        if a < 0:
            a = 0
        if a > 255:
            a = 255
        out[i] = a
        i += 1


def step(layers: "list[Layer]", out: "Out", raw_at: int, gates_at: int) -> int:
    """One sample through every layer; returns the output, 2^-16. A native module (firmware/native/lstm.c)
    does the same in C."""
    n = 0
    while n < len(layers):
        w_at, x_at, mid, end, rows, layer_at, n_in, n_all, cell_at = layers[n]
        dots(w_at, x_at, 0, mid, end, rows, raw_at)
        gates(layer_at, x_at, n_in, n_all, raw_at, gates_at)
        cells(layer_at, gates_at, cell_at, mid)
        n += 1
    w_at, x_at, end, layer_at, n_in = out
    dots(w_at, x_at, 0, end, end, 1, raw_at)
    return output(layer_at, x_at, n_in, raw_at)
