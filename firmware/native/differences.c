// The cells' differences in C: bms/estimate/differences_kernel.py, which says what it does and in which units.
// The functions have the same names and the same order of operations.
#include <stdbool.h>

#include "ekf.h"

// Stored plus BIAS are: drop, step, slope, mean_forecast, surprise; delta, slow, u, both, gain, open,
// forecast.
typedef struct {
    int32_t cells, span, count, moved, drop, last_drop, step, information, noise, slow_variance, walk, slope,
        bent, mean_volt, mean_forecast, factor, limit, next, lowest, highest, soc_low, soc_high, spread, surprise, h, one,
        variance;
} head_t;

typedef struct {
    int32_t sum, held, delta, slow, d0, d1, u, both, gain, last, open, forecast, deviation;
} cell_t;

enum {
    BLOCK_MS = 8000, BLOCK_SAMPLES = 128, PARTS = 4, LEAST_MV = 500, MOST_MV = 6000, SPOILT = 0x10000000,
    WHITE = 3355, WHITE_DROP = 3, SLOW_START = 107374, SLOW_DROP = 6, SLOW_FADE = 8, WALK = 86, LOST = 512000,
    LOST_WALK = 875, LEAST_D0 = 2577, MOST_D0 = 96636764, LEAST_D1 = 4295, PRIOR = 5250, GAIN_PRIOR = 410,
    GAIN_FLOOR = 41, INFORMATION_FADE = 8, MOST_U = 0x1F000000, NEAR = 0x140000,
    LOWEST = -3355443, HIGHEST = 70464307, LEAST_FAR = 335544,
};

static inline int32_t inside(int32_t soc) {
    return at_least(at_most(soc, HIGHEST), LOWEST);
}

static inline void add(head_t *c, cell_t *cells, words_t x, const uint16_t *cell_mv) {
    int32_t rate = within(get(x, RATE) - (get(x, OFFSET) >> 8), 0x100000);
    c->span += get(x, DT);
    c->moved += (magnitude(rate) >> 10) * get(x, DT);
    if (x[UNSEEN] > 0 || x[VOLT] <= BIAS) {
        return;
    }
    c->count++;
    int32_t r = get(x, R0);
    int32_t drop = ((rate >> 8) * r >> 1) + ((rate & 255) * r >> 9) + get(x, V1) + get(x, V2);
    c->drop += within(drop, 0x7FFFFF) >> 7;
    for (int32_t k = 0; k < c->cells; k++) {
        int32_t mv = cell_mv[k];
        mv = mv < LEAST_MV || mv > MOST_MV ? SPOILT : mv;
        cells[k].sum = at_most(cells[k].sum + mv, SPOILT);
    }
}

// The whole square root; 0 of what is not above 0.
static inline int32_t root(int32_t n) {
    return n > 0 ? root_of((uint32_t)n) : 0;
}

static inline void learn(head_t *c) {
    int32_t drop = floor_div(c->drop - BIAS, c->count);
    if (c->last_drop > 0) {
        int32_t step = within(drop + BIAS - c->last_drop, 0x3FFF);
        c->step = step + BIAS;
        c->information += (step * step >> 9) - (c->information >> INFORMATION_FADE);
    }
    c->last_drop = drop + BIAS;
    drop = magnitude(drop);
    int32_t white = at_most(drop * WHITE_DROP >> 6, 0x7FFF);
    int32_t gain = (root(ratio(PRIOR, c->information + PRIOR)) * GAIN_PRIOR >> 12) + GAIN_FLOOR;
    int32_t doubt = at_most(drop * gain >> 11, 0x7FFF);
    c->noise = WHITE / at_most(c->count, 8) + (white * white >> 5) + (doubt * doubt >> 4);
    int32_t slow = at_most(drop >> (SLOW_DROP - 1), 0x7FF);
    c->slow_variance = SLOW_START + (slow * slow << 2);
}

static inline void weigh(head_t *c, words_t x, tables_t tab) {
    c->walk = ((c->moved + (c->count ? 0 : LOST)) * 7 >> 12) + WALK;
    int32_t row = get(x, ROW);
    int32_t soc = get(x, SOC);
    int32_t far = at_least(get(x, SIGMA) * 7094, LEAST_FAR);
    int32_t high = at_most(soc + far, HIGHEST);
    int32_t low = at_least(soc - far, LOWEST);
    int32_t at_high = ocv(tab, row, high);
    int32_t at_low = ocv(tab, row, low);
    c->slope = (ratio(at_high - at_low, high - low) >> 6) + BIAS;
    int32_t bent = ratio(at_high + at_low - 2 * ocv(tab, row, soc), high - low) >> 6;
    c->bent = at_most(magnitude(bent), 0xFFFF);
    c->step = BIAS;
    if (c->count == 0) {
        c->factor = c->last_drop = 0;
        return;
    }
    c->factor = 16777 / c->count;
    c->limit = 16000 * c->count;
    learn(c);
}

static inline void forecast(head_t *c, cell_t *cells, words_t x, tables_t tab) {
    int32_t row = get(x, ROW);
    int32_t soc = get(x, SOC);
    int32_t drop = c->last_drop ? 2 * (c->last_drop - BIAS) : 0;
    int32_t volts = 0, total = 0, seen = 0;
    for (cell_t *cell = cells; cell < cells + c->cells; cell++) {
        int32_t at = inside(soc + cell->delta - BIAS);
        int32_t volt = ocv(tab, row, at);
        cell->open = volt + BIAS;
        volt = (volt >> 6) + ((cell->gain - BIAS) * drop >> 12) + ((cell->slow - BIAS) >> 6);
        cell->forecast = volt + BIAS;
        cell->held = cell->sum;
        if (cell->sum < SPOILT) {
            volts += cell->sum;
            total += volt;
            seen++;
        }
        cell->sum = 0;
    }
    c->span = c->count = c->moved = c->next = 0;
    c->drop = BIAS;
    if (seen < 2) {
        c->factor = 0;
        return;
    }
    c->mean_volt = (volts << 4) / seen;
    c->mean_forecast = floor_div(total, seen) + BIAS;
}

static inline void forget(head_t *c, cell_t *cell) {
    int32_t more = c->slow_variance >> (SLOW_FADE - 1);
    int32_t total = cell->d1 - (cell->d1 >> (SLOW_FADE - 1)) + more + 1;
    int32_t part = ratio(more, total) >> 9;
    int32_t u = cell->u - BIAS;
    int32_t t = (u + 0x2000) >> 14;
    int32_t v = at_most(mul_shift(mul_shift(cell->d1, t, 10), t, 10), MOST_D0);
    cell->d0 += c->walk + mul_shift(v, part, 15);
    u = mul_shift(u, 0x8000 - part, 15);
    u += u >> SLOW_FADE;
    cell->u = within(u, MOST_U) + BIAS;
    cell->d1 = total;
    v = cell->slow - BIAS;
    cell->slow -= v >> SLOW_FADE;
}

static inline bool compare(head_t *c, cell_t *cell) {
    if (c->factor == 0) {
        cell->last = 0;
        return false;
    }
    if (cell->held >= SPOILT) {
        cell->last = 0;
        cell->d0 += LOST_WALK;
        return false;
    }
    int32_t volt = within((cell->held << 4) - c->mean_volt, c->limit) * c->factor >> 12;
    c->surprise = within(volt - cell->forecast + c->mean_forecast, 0x7FFF) + BIAS;
    if (cell->last > 0) {
        int32_t both = cell->both - BIAS;
        int32_t off = within(volt + BIAS - cell->last, 0x3FFF);
        cell->both += ((c->step - BIAS) * off >> 9) - (both >> INFORMATION_FADE);
    }
    cell->last = volt + BIAS;
    int32_t gain = ratio(cell->both - BIAS, c->information + PRIOR) >> 13;
    cell->gain = within(gain, 2048) + BIAS;
    return true;
}

static inline void linearise(head_t *c, words_t x, tables_t tab, cell_t *cell) {
    int32_t row = get(x, ROW);
    int32_t delta = cell->delta - BIAS;
    int32_t at = inside(get(x, SOC) + delta);
    int32_t far = at_least(cell->deviation * 1773, LEAST_FAR);
    int32_t high = at_most(at + far, HIGHEST);
    int32_t low = at_least(at - far, LOWEST);
    if (high - low < 2 * LEAST_FAR) {
        high = at + LEAST_FAR;
        low = at - LEAST_FAR;
    }
    int32_t at_high = ocv(tab, row, high);
    int32_t at_low = ocv(tab, row, low);
    int32_t slope = ratio(at_high - at_low, high - low) >> 6;
    int32_t bend = within((at_high + at_low - 2 * (cell->open - BIAS)) >> 6, 0x7FFF);
    int32_t noise = c->noise;
    int32_t off = c->surprise - BIAS;
    if (far > NEAR && off * off >> 7 < noise + (cell->d1 >> 7)) {
        int32_t near = ratio(ocv(tab, row, at + NEAR) - ocv(tab, row, at - NEAR), 2 * NEAR) >> 6;
        if (near < slope) {
            slope = near;
            bend = 0;
        }
    }
    noise += bend * bend >> 8;
    int32_t doubt = at_most(magnitude(slope - c->slope + BIAS), 0x1FFFF) * get(x, SIGMA) >> 12;
    int32_t wide = c->bent * at_least(magnitude(delta) >> 10, cell->deviation) >> 14;
    doubt = at_most(at_least(doubt, wide), 0x3FFF);
    noise += doubt * doubt;
    int32_t one = 0x2000;
    while (slope > 0x7FFF || noise > 0x100000) {
        slope >>= 1;
        one >>= 1;
        off >>= 1;
        noise >>= 2;
    }
    c->h = slope;
    c->one = one;
    c->surprise = off + BIAS;
    c->variance = (noise << 6) + 4;
}

// A variance less the share `part` (2^-15) of it.
static inline int32_t less(int32_t d, int32_t part) {
    return d - (d >> 15) * part - ((d & 0x7FFF) * part >> 15);
}

static inline void correct(head_t *c, cell_t *cell) {
    int32_t u = cell->u - BIAS;
    int32_t h = c->h;
    int32_t off = c->surprise - BIAS;
    int32_t noise = c->variance;
    int32_t f = c->one + ((mul_shift(u, h, 14) + 512) >> 10);
    while (f > 0x7FFF || f < -0x7FFF) {
        f >>= 1;
        h >>= 1;
        off >>= 1;
        noise >>= 2;
    }
    noise++;
    int32_t v0 = mul_shift(cell->d0, h, 15);
    int32_t first = noise + mul_shift(v0, h, 12);
    int32_t v1 = mul_shift(cell->d1, f, 15);
    int32_t alpha = first + mul_shift(v1, f, 12);
    if (alpha < 0xCCCCCCC && off * off > 5 * alpha) {
        cell->d0 = at_most(4 * cell->d0, MOST_D0);
        return;
    }
    cell->d0 = at_least(less(cell->d0, ratio(first - noise, first) >> 9), 64);
    cell->d1 = at_least(less(cell->d1, ratio(alpha - first, alpha) >> 9), LEAST_D1);
    int32_t t = (u + 0x2000) >> 14;
    cell->u = within(u - ratio(mul_shift(v0, f, 12), first), MOST_U) + BIAS;
    v0 = within(v0 + mul_shift(v1, t, 10), 0x3FFFFFF);
    int32_t delta = cell->delta - BIAS + (ratio(mul_shift(v0, off, 11), alpha) >> 1);
    cell->delta = within(delta, 0x2000000) + BIAS;
    int32_t slow = cell->slow - BIAS + (ratio(mul_shift(v1, off, 11), alpha) >> 6);
    cell->slow = within(slow, 419430) + BIAS;
}

static inline void spread(cell_t *cell) {
    int32_t t = (cell->u - BIAS + 0x2000) >> 14;
    int32_t p = cell->d0 + mul_shift(mul_shift(cell->d1, t, 10), t, 10);
    if (p > MOST_D0) {
        p = MOST_D0;
        cell->d0 = p;
        cell->u = BIAS;
    }
    if (p < LEAST_D0) {
        cell->d0 += LEAST_D0 - p;
        p = LEAST_D0;
    }
    cell->deviation = root(p);
}

static inline void judge(head_t *c, cell_t *cells, words_t x) {
    int32_t n = c->cells;
    int32_t *soc_cpct = (int32_t *)(cells + n);
    int32_t total = 0;
    for (int32_t k = 0; k < n; k++) {
        total += cells[k].delta - BIAS;
    }
    int32_t mean = floor_div(total, n);
    int32_t known = 16 * get(x, SIGMA) * get(x, SIGMA);
    int32_t least = 0x7FFF, most = -1, low = 0x7FFF, high = 0;
    for (int32_t k = 0; k < n; k++) {
        cell_t *cell = cells + k;
        cell->delta -= mean;
        int32_t soc = ((get(x, SOC) + cell->delta - BIAS) >> 12) * 10000 >> 14;
        soc = at_most(at_least(soc, 0), 10000);
        int32_t sigma = root(known + cell->deviation * cell->deviation) * 10000 >> 16;
        soc_cpct[k] = soc;
        soc_cpct[n + k] = sigma;
        if (soc < least) {
            least = soc;
            c->lowest = k;
        }
        if (soc > most) {
            most = soc;
            c->highest = k;
        }
        low = at_most(low, soc - sigma);
        high = at_least(high, soc + sigma);
    }
    c->soc_low = at_least(low, 0);
    c->soc_high = at_most(high, 10000);
    c->spread = most - least;
}

static inline void work(head_t *c, cell_t *cells, words_t x, tables_t tab, int32_t most) {
    int32_t end = at_most(c->next + most, c->cells);
    for (cell_t *cell = cells + c->next; cell < cells + end; cell++) {
        forget(c, cell);
        if (compare(c, cell)) {
            linearise(c, x, tab, cell);
            correct(c, cell);
        }
        spread(cell);
    }
    c->next = end;
    if (end == c->cells) {
        judge(c, cells, x);
    }
}

static void sample(head_t *c, words_t x, tables_t tab, const uint16_t *cell_mv) {
    cell_t *cells = (cell_t *)(c + 1);
    add(c, cells, x, cell_mv);
    bool full = c->span >= BLOCK_MS || c->count >= BLOCK_SAMPLES;
    if (c->next < c->cells) {
        work(c, cells, x, tab, full ? c->cells : (c->cells + PARTS - 1) / PARTS);
    }
    if (full) {
        weigh(c, x, tab);
        forecast(c, cells, x, tab);
    }
}

// follow(cells, words, tables, cell_mv)
static mp_obj_t follow(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t cells, words, tables, cell_mv;
    mp_get_buffer_raise(args[0], &cells, MP_BUFFER_RW);
    mp_get_buffer_raise(args[1], &words, MP_BUFFER_READ);
    mp_get_buffer_raise(args[2], &tables, MP_BUFFER_READ);
    mp_get_buffer_raise(args[3], &cell_mv, MP_BUFFER_READ);
    head_t *head = cells.buf;
    size_t n = cells.len >= sizeof(head_t) && head->next >= 0 ? (size_t)head->cells : 0;
    if (n == 0 || cells.len < sizeof(head_t) + n * (sizeof(cell_t) + 8) || words.len < WORDS * sizeof(int32_t) ||
        tables.len < tables_bytes(tables.buf) || cell_mv.len < n * sizeof(uint16_t)) {
        mp_raise_ValueError("cells, words, tables or cell_mv are too short");
    }
    sample(head, words.buf, tables.buf, cell_mv.buf);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(follow_obj, 4, 4, follow);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_follow, MP_OBJ_FROM_PTR(&follow_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
