// What the state-of-charge filter and those beside it share: its words, the tables, a few laws (ekf_kernel.py).
#ifndef CELLKEEPER_EKF_H
#define CELLKEEPER_EKF_H

#include "kernel.h"

enum {
    SOC, ERROR, GAIN, OFFSET, HYST, D0, D1, D2, D3, U01, U02, U12, U03, U13, U23, SPAN, WEIGHT, MEAN,
    R0, R1, R2, ROW, DROP, DT, RATE, VOLT, TEMP, SIGMA, REST, H, K = 33, NOISE = 37, V1, V2, PAST, QUIET,
    F, ALPHA = 46, CAPACITY = 50, SHIFT, HISTORY, ODD, UNSEEN, SOC_CPCT, SIGMA_CPCT, WORDS,
};

enum { OCV_COLUMNS = 129, R_COLUMNS = 33, ASINH_COLUMNS = 65, HEAD = 8 };

typedef int32_t *words_t;
typedef const uint16_t *tables_t;

static inline int32_t get(words_t x, int i) {
    return x[i] - BIAS;
}

static inline void put(words_t x, int i, int32_t value) {
    x[i] = value + BIAS;
}

// Python halves both, one bit after the other, until d is below 2^19.
static int32_t ratio(int32_t n, int32_t d) {
    int bits = 13 - __builtin_clz(d);
    if (bits > 0) {
        d >>= bits;
        n >>= bits;
    }
    int32_t whole = floor_div(n, d);
    if (whole >= 31) {
        return 0x1F000000;
    }
    if (whole < -31) {
        return -0x1F000000;
    }
    uint32_t rest = (uint32_t)(n - whole * d) << 12;
    uint32_t part = rest / (uint32_t)d;
    rest = (rest - part * d) << 12;
    return (whole << 24) + (part << 12) + rest / (uint32_t)d;
}

static inline int32_t between(int32_t low, int32_t high, int32_t weight) {
    return low + ((high - low) * weight >> 8);
}

static int32_t ocv(tables_t tab, int32_t row, int32_t soc) {
    int32_t weight = row & 511;
    int32_t k = at_most(at_least(soc >> 19, 0), 127);
    int32_t g = (soc - (k << 19)) >> 9;
    tables_t at = tab + HEAD + 4 * tab[2] + (row >> 9) * OCV_COLUMNS + k;
    int32_t low = (at[0] << 8) + ((at[1] - at[0]) * g >> 2);
    at += OCV_COLUMNS;
    int32_t high = (at[0] << 8) + ((at[1] - at[0]) * g >> 2);
    return low + (((high - low) >> 2) * weight >> 6);
}

// As words_needed in ecm.py.
static inline size_t tables_bytes(tables_t tab) {
    return 2 * (HEAD + tab[2] * (4 + OCV_COLUMNS + 3 * R_COLUMNS) + OCV_COLUMNS + ASINH_COLUMNS);
}

#endif
