// A step of the int8 LSTM in C: `step` in bms/estimate/lstm_kernel.py, which says what it does and in which
// units. Products with a scale are 64 bits here where Python has their parts: the same bits.
#include <stdbool.h>

#include "kernel.h"

enum {
    UNITS = 0, ZERO = 1, TANH = 2, ADDED = 5, HIDDEN = 7, SCALES = 11, BIASES = 51,
    OUT_BIAS = 5,
    TABLE = 256,
    COLUMNS_MAX = 1024,
};

// Multiplier (high, low), left shift, half, right shift.
typedef struct {
    int32_t high, low, left, half, right;
} scale_t;

static inline int32_t int16(int32_t value) {
#ifdef __ARM_FEATURE_SAT
    int32_t held;
    __asm("ssat %0, #16, %1" : "=r" (held) : "r" (value));
    return held;
#else
    return at_least(at_most(value, 32767), -32768);
#endif
}

// a m 2^-31, to the nearest; a within 2^30 (cloud/training/blob.py sees to it), m below 2^31.
static inline int32_t times(int32_t a, int32_t m) {
#ifdef __ARM_FEATURE_DSP
    int32_t product;
    __asm("smmulr %0, %1, %2" : "=r" (product) : "r" (a << 1), "r" (m));
    return product;
#else
    return (int32_t)(((int64_t)a * m + (1 << 30)) >> 31);
#endif
}

static inline int32_t halved(int32_t a, int32_t half, int32_t right) {
    return (a + half + (a >> 31)) >> right;
}

// `right`: it is known to be above 0.
static inline int32_t scaled(int32_t a, scale_t by, bool right) {
    a = times(a << by.left, by.high << 16 | by.low);
    return right || by.right > 0 ? halved(a, by.half, by.right) : a;
}

typedef struct {
    size_t n_in, n_all, rows;
    int32_t own_sum, back_sum;
} dots_t;

static inline int32_t dot(const uint8_t *w, const uint8_t *x, size_t n, int32_t sum) {
    for (size_t i = 0; i < n; i++) {
        sum += w[i] * x[i];
    }
    return sum;
}

// 128 times the sum of x, + BIAS: what the offsets of the weights and of the bias make of it.
static inline int32_t offset_of(const uint8_t *x, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    return (sum << 7) + BIAS;
}

#ifdef __ARM_FEATURE_DSP

// Adds two rows of weights times x, 8 columns a turn; x as `widen` has left it. Returns x's end.
static __attribute__((noinline)) const uint32_t *dot2(
    const uint8_t *row0, const uint8_t *row1, const uint32_t *x, size_t columns, int32_t *sum0, int32_t *sum1) {
    int32_t a0 = *sum0, a1 = *sum1;
    uint32_t w0, w1, even;
    const uint8_t *end = row0 + columns;
    if (columns) {
        __asm volatile (
            "1: ldmia %[x]!, {r4, r5, r6, r8}\n"
            "ldrd %[w0], %[w1], [%[row0]], #8\n"
            "uxtb16 %[even], %[w0]\n"
            "uxtb16 %[w0], %[w0], ror #8\n"
            "smlad %[a0], %[even], r4, %[a0]\n"
            "smlad %[a0], %[w0], r5, %[a0]\n"
            "uxtb16 %[even], %[w1]\n"
            "uxtb16 %[w1], %[w1], ror #8\n"
            "smlad %[a0], %[even], r6, %[a0]\n"
            "smlad %[a0], %[w1], r8, %[a0]\n"
            "ldrd %[w0], %[w1], [%[row1]], #8\n"
            "uxtb16 %[even], %[w0]\n"
            "uxtb16 %[w0], %[w0], ror #8\n"
            "smlad %[a1], %[even], r4, %[a1]\n"
            "smlad %[a1], %[w0], r5, %[a1]\n"
            "uxtb16 %[even], %[w1]\n"
            "uxtb16 %[w1], %[w1], ror #8\n"
            "smlad %[a1], %[even], r6, %[a1]\n"
            "smlad %[a1], %[w1], r8, %[a1]\n"
            "cmp %[row0], %[end]\n"
            "bne 1b\n"
            : [x] "+r" (x), [row0] "+r" (row0), [row1] "+r" (row1), [a0] "+r" (a0), [a1] "+r" (a1),
            [w0] "=&r" (w0), [w1] "=&r" (w1), [even] "=&r" (even)
            : [end] "r" (end)
            : "r4", "r5", "r6", "r8", "cc", "memory");
    }
    *sum0 = a0;
    *sum1 = a1;
    return x;
}

// Each 4 bytes of x become two pairs of 16 bits: bytes 0 and 2, bytes 1 and 3.
static inline void widen(const uint8_t *x, uint32_t *pairs, size_t columns) {
    const uint32_t *from = (const uint32_t *)x;
    for (size_t i = 0; i < columns / 4; i++) {
        uint32_t four = from[i];
        *pairs++ = four & 0xFF00FF;
        *pairs++ = four >> 8 & 0xFF00FF;
    }
}

static void dots_wide(const uint8_t *w, const int32_t *bias, const uint8_t *x, const dots_t *size, int32_t *out) {
    uint32_t pairs[COLUMNS_MAX / 2];
    widen(x, pairs, size->n_all);
    for (size_t n = 0; n < size->rows; n += 2) {
        const uint8_t *next = w + size->n_all;
        out[0] = bias[0] - size->own_sum;
        out[1] = bias[1] - size->back_sum;
        out[2] = bias[2] - size->own_sum;
        out[3] = bias[3] - size->back_sum;
        const uint32_t *back = dot2(w, next, pairs, size->n_in, &out[0], &out[2]);
        dot2(w + size->n_in, next + size->n_in, back, size->n_all - size->n_in, &out[1], &out[3]);
        w = next + size->n_all;
        bias += 4;
        out += 4;
    }
}

#endif

// out[2 r], out[2 r + 1] = row r of w times x[:n_in] and times x[n_in:n_all], each with its bias; what x's sums
// stand for taken off.
static void dots(const uint8_t *w, const int32_t *bias, const uint8_t *x, const dots_t *size, int32_t *out) {
#ifdef __ARM_FEATURE_DSP
    if (size->rows % 2 == 0 && size->n_all <= COLUMNS_MAX && (((uintptr_t)w | (uintptr_t)x) & 3) == 0) {
        dots_wide(w, bias, x, size, out);
        return;
    }
#endif
    for (size_t n = 0; n < size->rows; n++) {
        *out++ = dot(w, x, size->n_in, *bias++ - size->own_sum);
        *out++ = dot(w + size->n_in, x + size->n_in, size->n_all - size->n_in, *bias++ - size->back_sum);
        w += size->n_all;
    }
}

// The table's value at a; `bits` of it lie between two entries.
static inline int32_t between(const uint16_t *lut, int32_t a, int bits) {
    const uint16_t *at = lut + (a >> bits);
    return (at[0] << bits) + (a & ((1 << bits) - 1)) * (at[1] - at[0]);
}

// 16 bits signed; x three times what it is in Python's words.
static inline int32_t tanh_of(const uint16_t *lut, int32_t x) {
    int32_t a = magnitude(x);
    a = a >> 8 >= TABLE - 1 ? 0xFFFF00 : between(lut, a, 8);
    return (x >= 0 ? a - 0x7FFF80 : 0x80007F - a) >> 8;
}

// 3 times 16 bits never reach the table's end here.
static inline int32_t sigmoid_of(const uint16_t *lut, int32_t x) {
    int32_t a = between(lut, magnitude(x), 9);
    return (x >= 0 ? a + 512 : 0x20001FF - a) >> 10;
}

static inline void gate(
    const scale_t *scales, int32_t units, const int32_t *raw, const uint16_t *lut, uint16_t *out, bool right, bool is_cell) {
    scale_t own = scales[0], back = scales[1];
    for (uint16_t *end = out + units; out < end; out++) {
        int32_t total = int16(scaled(raw[0], own, right)) + int16(scaled(raw[1], back, right));
        total = 3 * int16(total);
        *out = is_cell ? tanh_of(lut, total) + 32768 : sigmoid_of(lut, total);
        raw += 2;
    }
}

static void gates(const int32_t *p, const int32_t *raw, uint16_t *lut) {
    int32_t units = p[UNITS];
    for (int n = 0; n < 4; n++) {
        const scale_t *scales = (const scale_t *)(p + SCALES) + 2 * n;
        uint16_t *out = lut + TABLE + n * units;
        bool right = scales[0].right > 0 && scales[1].right > 0;
        if (right && n == 2) {
            gate(scales, units, raw, lut, out, true, true);
        } else if (right) {
            gate(scales, units, raw, lut, out, true, false);
        } else {
            gate(scales, units, raw, lut, out, false, n == 2);
        }
        raw += 2 * units;
    }
}

static void cells(const int32_t *p, const uint16_t *lut, uint16_t *cell, uint8_t *hidden) {
    int32_t units = p[UNITS];
    const uint16_t *input = lut + TABLE, *forget = input + units, *value = forget + units, *output = value + units;
    int32_t m = p[HIDDEN] << 16 | p[HIDDEN + 1];
    for (int32_t n = 0; n < units; n++) {
        int32_t kept = halved((forget[n] * (cell[n] - 32768) + 1) >> 1, 8192, 14);
        int32_t added = halved((input[n] * (value[n] - 32768) + 1) >> 1, p[ADDED], p[ADDED + 1]);
        int32_t c = int16(kept + int16(added));
        cell[n] = (uint16_t)(c + 32768);
        int32_t a = tanh_of(lut, (c * p[TANH] + p[TANH + 1]) >> p[TANH + 2]) * output[n];
        a = halved(times(a, m), p[HIDDEN + 2], p[HIDDEN + 3]) + p[ZERO];
        hidden[n] = (uint8_t)at_most(at_least(a, 0), 255);
    }
}

static inline uintptr_t word(mp_obj_t number) {
    return mp_obj_is_small_int(number) ? (uintptr_t)MP_OBJ_SMALL_INT_VALUE(number)
        : (uintptr_t)mp_obj_get_int_truncated(number);
}

static const mp_obj_t *fields(mp_obj_t tuple, size_t needed) {
    size_t n;
    mp_obj_t *items;
    mp_obj_get_array(tuple, &n, &items);
    if (n != needed) {
        mp_raise_ValueError("not what Lstm has laid out");
    }
    return items;
}

// step(layers, out, raw_at, gates_at)
static mp_obj_t step(size_t n_args, const mp_obj_t *args) {
    size_t layers;
    mp_obj_t *layer;
    mp_obj_get_array(args[0], &layers, &layer);
    int32_t *raw = (int32_t *)word(args[2]);
    uint16_t *lut = (uint16_t *)word(args[3]);
    for (size_t n = 0; n < layers; n++) {
        // w_at, x_at, mid, end, rows, layer_at, n_in, n_all, cell_at
        const mp_obj_t *at = fields(layer[n], 9);
        const uint8_t *x = (const uint8_t *)word(at[1]);
        const int32_t *p = (const int32_t *)word(at[5]);
        dots_t size = {.n_in = word(at[6]), .n_all = word(at[7]), .rows = word(at[4])};
        size.own_sum = offset_of(x, size.n_in);
        size.back_sum = offset_of(x + size.n_in, size.n_all - size.n_in);
        dots((const uint8_t *)word(at[0]), p + BIASES, x, &size, raw);
        gates(p, raw, lut);
        cells(p, lut, (uint16_t *)word(at[8]), (uint8_t *)word(at[2]));
    }
    // w_at, x_at, end, layer_at, n_in
    const mp_obj_t *at = fields(args[1], 5);
    const uint8_t *x = (const uint8_t *)word(at[1]);
    const int32_t *p = (const int32_t *)word(at[3]);
    size_t n_in = word(at[4]);
    int32_t a = dot((const uint8_t *)word(at[0]), x, n_in, p[OUT_BIAS] - offset_of(x, n_in));
    return mp_obj_new_int(scaled(a, *(const scale_t *)p, false));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(step_obj, 4, 4, step);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_step, MP_OBJ_FROM_PTR(&step_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
