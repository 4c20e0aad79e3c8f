// The state-of-charge filter's sample in C: bms/estimate/ekf_sample.py and ekf_kernel.py, which say what it
// does and in which units. The functions have the same names and the same order of operations.
#include "ekf.h"

enum {
    WHITE = 5030, WHITE_QUIET = 656, WHITE_IR = 238, WHITE_V1 = 78, WHITE_DROP = 20,
    SLOW = 190, SLOW_HYST = 56, SLOW_R = 1, SLOW_TAU_DS = 25000, SLOW_EMPTY = 350,
    GAIN_VARIANCE = 21045000, GAIN_TAU_DS = 40000, OFFSET_DROP = 63, PAST_WEIGHT = 33, WALK_OFFSET = 44,
    LEAST_SOC = 8640, CURVED = 256, NO_SURPRISE = 429000, NEAR = 0x140000, ONE = 0x4000000,
    LEAST_MV = 500, MOST_MV = 6000, BLOCK_MS = 4000, FLOOR_CPCT = 30, LOADED = 56, BEFORE = 79,
    UNSEEN_VARIANCE = 5, UNSEEN_MAX_MS = 3600000, GATE = 20 << 8, RESTART_BLOCKS = 3,
    RESTART_VARIANCE = 42949673, D_MAX = 0x8000000,
};

static int32_t settle(int32_t ms, int32_t tau_ds) {
    int32_t x = floor_div_by(ms * 10486, tau_ds);
    if (x < 0x20000) {
        int32_t square = (x >> 2) * (x >> 2) >> 17;
        return (x - square + floor_div(square * (x >> 3) >> 17, 3)) >> 2;
    }
    x = at_most(x >> 8, 0x8000);
    x += x * x >> 13;
    return (x << 12) / (4096 + x) << 6;
}

static int32_t product_over(int32_t k, int32_t f, int32_t d) {
    int32_t n = ((k >> 13) * f >> 6) + ((k & 0x1FFF) * f >> 19);
    if (d < 0x80000 && n < 0x40000 && n > -0x40000) {
        n = ((k >> 13) * f << 2) + ((k & 0x1FFF) * f >> 11);
        d <<= 8;
    }
    return ratio(n, d);
}

static inline tables_t hysteresis_of(tables_t tab) {
    return tab + HEAD + (4 + OCV_COLUMNS + 3 * R_COLUMNS) * tab[2];
}

static inline void look_up(words_t x, tables_t tab) {
    int32_t rows = tab[2];
    int32_t above = get(x, TEMP) + 1000;
    int32_t row = 0;
    while (row < rows - 2 && above >= tab[9 + row]) {
        row++;
    }
    above -= tab[8 + row];
    int32_t weight = floor_div(above << 8, tab[9 + row] - tab[8 + row]);
    weight = at_most(at_least(weight, 0), 256);
    put(x, ROW, row << 9 | weight);
    int32_t soc = at_most(at_least(get(x, SOC), 0), ONE);
    int32_t k = at_most(soc >> 21, 31);
    int32_t g = (soc - (k << 21)) >> 13;
    tables_t at = tab + HEAD + (4 + OCV_COLUMNS) * rows + row * R_COLUMNS + k;
    for (int n = 0; n < 3; n++) {
        int32_t low = (at[0] * (256 - g) + at[1] * g) >> 2;
        int32_t high = (at[R_COLUMNS] * (256 - g) + at[R_COLUMNS + 1] * g) >> 2;
        put(x, R0 + n, (low * (256 - weight) + high * weight) >> 14);
        at += R_COLUMNS * rows;
    }
}

// Volts of a rate over a resistance.
static inline int32_t drop_at(int32_t rate, int32_t r) {
    return ((rate >> 8) * r >> 1) + ((rate & 255) * r >> 9);
}

// Butler and Volmer's law.
static inline int32_t bent(tables_t tab, int32_t gap) {
    int32_t knee = tab[3];
    if (knee == 0) {
        return gap;
    }
    int32_t u = (int32_t)((uint32_t)(magnitude(gap) >> 7 << 8) / (uint32_t)knee);
    int32_t k = at_most(u >> 6, 63);
    u -= k << 6;
    tables_t at = hysteresis_of(tab) + OCV_COLUMNS + k;
    u = knee * (at[0] + ((at[1] - at[0]) * u >> 6)) >> 5;
    return gap < 0 ? -u : u;
}

// v of a pair follows where it tends to; returns it.
static inline int32_t follow(words_t x, int at, int32_t gap, int32_t part) {
    int32_t v = get(x, at);
    gap = within(gap - v, 0xFFFFFF);
    v += ((gap >> 12) * part >> 6) + ((gap & 4095) * part >> 18);
    put(x, at, v);
    return v;
}

// Weighs the innovation `gap` and the drop that stands in it into the block.
static inline void weigh(words_t x, int32_t gap, int32_t drop, int32_t ohmic) {
    ohmic = at_most((magnitude(ohmic) >> 7) * WHITE_IR >> 8, 0x4000);
    int32_t v = at_most((magnitude(get(x, V1)) >> 7) * WHITE_V1 >> 8, 0x2000);
    int32_t k = x[QUIET] > BIAS ? WHITE_QUIET : WHITE;
    int32_t w = 0x10000000 / at_most((k * k + ohmic * ohmic + v * v) >> 6, 0x400000);
    int32_t total = get(x, WEIGHT) + w;
    int32_t mean = get(x, MEAN);
    put(x, MEAN, mean + floor_div(((gap >> 7) - mean) * w + (total >> 1), total));
    mean = get(x, DROP);
    put(x, DROP, mean + floor_div(((drop >> 7) - mean) * w + (total >> 1), total));
    put(x, WEIGHT, total);
}

static inline void advance(words_t x, tables_t tab) {
    int32_t rows = tab[2];
    int32_t weight = get(x, ROW) & 511;
    int32_t dt = get(x, DT);
    int32_t rate = within(get(x, RATE) - (get(x, OFFSET) >> 8), 0x100000);
    tables_t at = tab + HEAD + rows + (get(x, ROW) >> 9);
    int32_t capacity = 3516 * between(at[0], at[1], weight) >> 14;
    int32_t charge = rate * dt + get(x, REST);
    int32_t moved = floor_div_by(charge, capacity);
    put(x, REST, charge - moved * capacity);
    int32_t soc = at_least(at_most(get(x, SOC) + moved, 68451041), -1342177);
    put(x, SOC, soc);
    at += rows;
    int32_t part = settle(dt, between(at[0], at[1], weight));
    int32_t drop = follow(x, V1, bent(tab, drop_at(rate, get(x, R1))), part);
    at += rows;
    part = settle(dt, between(at[0], at[1], weight));
    drop += follow(x, V2, drop_at(rate, get(x, R2)), part);
    int32_t hysteresis = get(x, HYST);
    int32_t goal = moved < 0 ? -0x100000 : 0x100000;
    part = at_most(floor_div_by(magnitude(moved) << 6, tab[6]), 0x10000);
    hysteresis += ((goal - hysteresis) >> 7) * part >> 9;
    put(x, HYST, hysteresis);
    x[SPAN] += dt;
    int32_t volt = get(x, VOLT);
    if (volt <= 0) {
        return;
    }
    int32_t k = at_most(at_least(soc >> 19, 0), 128);
    int32_t rest = hysteresis_of(tab)[k] * (hysteresis >> 6) >> 6;
    int32_t ohmic = drop_at(rate, get(x, R0));
    drop = within(drop + ohmic, 0xFFFFFF);
    int32_t base = tab[5];
    rest += base * 4194 + base * 304 / 1000 + ocv(tab, get(x, ROW), soc) + get(x, ERROR);
    int32_t gap = volt - rest - drop - ((drop >> 8) * (get(x, GAIN) >> 8) >> 6);
    weigh(x, within(gap, 0x3FFFFF), drop, ohmic);
}

static int32_t slow_error(words_t x, tables_t tab) {
    int32_t k = at_most(at_least(get(x, SOC) >> 19, 0), 128);
    int32_t slow = SLOW + (hysteresis_of(tab)[k] * SLOW_HYST >> 7);
    if (x[SPAN] > BIAS) {
        slow += (get(x, R0) + get(x, R1) + get(x, R2)) * SLOW_R >> 8;
    }
    if (k < 19) {
        slow += (slow * SLOW_EMPTY >> 8) * (19 - k) / 19;
    }
    return at_most(slow, 0x3FFF);
}

// Variance that a slow error gains while it keeps to its own `variance`; e as `settle` gives it.
static inline int32_t gained(int32_t variance, int32_t e) {
    int32_t q = (e >> 3) * ((0x80000 - e) >> 4) >> 14;
    return mul_shift(variance, q, 14) >> 1;
}

static inline int32_t shrunk(int32_t u, int32_t a) {
    return mul_shift(u, a, 14) >> 1;
}

static inline void predict(words_t x, tables_t tab) {
    int32_t rows = tab[2];
    int32_t weight = get(x, ROW) & 511;
    int32_t span = get(x, SPAN);
    tables_t at = tab + HEAD + rows + (get(x, ROW) >> 9);
    int32_t capacity = between(at[0], at[1], weight);
    at += 2 * rows;
    int32_t e1 = settle(span, SLOW_TAU_DS);
    int32_t e2 = settle(span, between(at[0], at[1], weight));
    int32_t past = get(x, PAST);
    past -= (past >> 12) * (e2 >> 4) >> 1;
    put(x, PAST, past > 0 ? past - 1 : past);
    e2 = settle(span, GAIN_TAU_DS);
    int32_t a1 = (0x40000 - e1) >> 3;
    int32_t a2 = (0x40000 - e2) >> 3;
    int32_t v = get(x, ERROR);
    put(x, ERROR, v - ((v >> 12) * e1 >> 6));
    v = get(x, GAIN);
    put(x, GAIN, v - ((v >> 8) * (e2 >> 4) >> 6));
    int32_t slow = slow_error(x, tab);
    int32_t q1 = gained(slow * slow, e1);
    int32_t q2 = gained(GAIN_VARIANCE, e2);
    // the offset moves SoC
    put(x, U03, at_least(get(x, U03) - floor_div_by(span * 9544, capacity), -0x1F000000));
    put(x, U13, shrunk(get(x, U13), a1));
    put(x, U23, shrunk(get(x, U23), a2));
    x[D3] += span * WALK_OFFSET >> 10;
    // the gain: shrink, add q2, hand on to the error and SoC what they had in common
    int32_t d = get(x, D2);
    int32_t half = shrunk(d, a2);
    int32_t total = shrunk(half, a2) + q2 + 1;
    put(x, D2, total);
    int32_t part = at_most(ratio(half, total) >> 10, 0x7FFF);
    int32_t u02 = get(x, U02);
    put(x, U02, mul_shift(u02, part, 14));
    int32_t u12 = get(x, U12);
    int32_t u = shrunk(u12, a1);
    put(x, U12, mul_shift(u, part, 14));
    part = at_most(ratio(d, total) >> 10, 0x7FFF);
    int32_t z = mul_shift(q2, part, 14);
    // the slow error, the same; `u` is what it has of the gain
    u = (u + 0x2000) >> 14;
    int32_t u01 = get(x, U01);
    d = get(x, D1);
    half = shrunk(d, a1);
    int32_t own = shrunk(half, a1);
    int32_t zu = mul_shift(z, u, 10);
    int32_t with_gain = own + mul_shift(zu, u, 10) + 1;
    int32_t both = mul_shift(half, (u01 + 0x2000) >> 14, 10) + mul_shift(zu, (u02 + 0x2000) >> 14, 10);
    u01 = ratio(both, with_gain);
    total = with_gain + q1;
    put(x, D1, total);
    part = at_most(ratio(with_gain, total) >> 9, 0x7FFF);
    int32_t t = mul_shift(u01, part, 14) >> 1;
    // SoC takes what its correlation with the other two has lost
    d = get(x, D0) + ((span + 2048) >> 12);
    u = (u01 + 0x2000) >> 14;
    int32_t lost = mul_shift(q1, part, 14) >> 1;
    d += mul_shift(mul_shift(lost, u, 10), u, 10);
    u = (get(x, U01) + 0x2000) >> 14;
    put(x, U01, t);
    u = within((u12 >> 14) * u, 0x1FFFFFF);
    u = within(((u02 >> 4) - u) >> 10, 0x7FFF);
    part = at_most(ratio(own, with_gain) >> 9, 0x7FFF);
    lost = mul_shift(z, part, 14) >> 1;
    d += mul_shift(mul_shift(lost, u, 10), u, 10);
    put(x, D0, d);
}

static void spread(words_t x) {
    int32_t p = get(x, D0);
    for (int n = 0, i = U01; n < 3; n++, i += n) {
        int32_t u = (get(x, i) + 0x2000) >> 14;
        p += mul_shift(mul_shift(get(x, D1 + n), u, 10), u, 10);
        if (p > 0x5C28F5C) {
            p = 0x5C28F5C;
            x[U01] = x[U02] = x[U03] = BIAS;
            put(x, D0, p);
            break;
        }
    }
    if (p < LEAST_SOC) {
        x[D0] += LEAST_SOC - p;
        p = LEAST_SOC;
    }
    put(x, SIGMA, root_of((uint32_t)p));
}

static inline void linearise(words_t x, tables_t tab) {
    int32_t row = get(x, ROW);
    int32_t soc = get(x, SOC);
    int32_t far = get(x, SIGMA) * 7094;
    int32_t high = at_most(soc + far, 70464307);
    int32_t low = at_least(soc - far, -3355443);
    if (high - low < 671089) {
        high = soc + 335544;
        low = soc - 335544;
    }
    int32_t at_high = ocv(tab, row, high);
    int32_t at_low = ocv(tab, row, low);
    int32_t slope = ratio(at_high - at_low, high - low) >> 5;
    int32_t bend = at_high + at_low - 2 * ocv(tab, row, soc);
    int32_t y = within(get(x, MEAN), 0x3FFF);
    if (y * y >> 2 < get(x, D1) + (get(x, PAST) << 6) + NO_SURPRISE) {
        int32_t near = ratio(ocv(tab, row, soc + NEAR) - ocv(tab, row, soc - NEAR), 2 * NEAR) >> 5;
        if (near < slope) {
            slope = near;
            bend = 0;
        }
    }
    int scale = 0;
    while (slope > 0x7FFF) {
        slope >>= 1;
        scale++;
    }
    put(x, H, slope);
    put(x, H + 1, 0x4000 >> scale);
    int32_t drop = get(x, DROP);
    put(x, H + 2, within(drop >> 1, 0x7FFF) >> scale);
    int32_t seen = get(x, R0) + ((get(x, R1) + get(x, R2)) * OFFSET_DROP >> 8);
    put(x, H + 3, -(seen >> (3 + scale)));
    put(x, MEAN, (get(x, MEAN) - floor_div(bend, 768)) >> scale);
    bend = within(bend >> 8, 0x3FFF);
    int32_t noise = at_least(0x10000000 / get(x, WEIGHT), 64);
    drop = drop * WHITE_DROP >> 8;
    noise = at_most(noise + (drop * drop >> 6) + get(x, PAST) * PAST_WEIGHT, 0x2000000);
    noise += (bend * bend >> 10) * CURVED >> 2;
    put(x, NOISE, (noise >> 2 * scale) + 4);
}

static inline int32_t surprise(words_t x) {
    int32_t alpha = get(x, NOISE);
    for (int j = 0, column = U01; j < 4; column += j, j++) {
        int32_t f = get(x, H + j);
        for (int i = 0; i < j; i++) {
            f += (mul_shift(get(x, column + i), get(x, H + i), 14) + 512) >> 10;
        }
        f = within(f, 0x7FFF);
        int32_t v = mul_shift(get(x, D0 + j), f, 15);
        int32_t gain = ((v >> 13) * f >> 6) + ((v & 0x1FFF) * f >> 19);
        alpha += at_least(at_most(gain, 0x4000000), 0);
        put(x, F + j, f);
        put(x, K + j, v);
        put(x, ALPHA + j, alpha);
    }
    int32_t y = within(get(x, MEAN), 0x7FFF);
    return ratio(y * y >> 6, alpha) >> 16;
}

static inline void correct(words_t x) {
    static const int32_t most[4] = {68451041, 0x1000000, 0x200000, 0x400000};
    int32_t alpha = get(x, NOISE);
    for (int j = 0, column = U01; j < 4; column += j, j++) {
        int32_t before = alpha;
        alpha = get(x, ALPHA + j);
        int32_t f = get(x, F + j);
        int32_t v = get(x, K + j);
        int32_t d = get(x, D0 + j);
        int32_t part = ratio(alpha - before, alpha);
        int32_t high = part >> 12;
        part &= 4095;
        d -= ((d >> 15) * high << 3) + ((d >> 15) * part >> 9) + ((d & 0x7FFF) * high >> 12);
        put(x, D0 + j, at_least(d, 64));
        for (int i = 0; i < j; i++) {
            int32_t u = get(x, column + i);
            int32_t k = get(x, K + i);
            int32_t t = (u + 0x2000) >> 14;
            put(x, column + i, within(u - product_over(k, f, before), 0x1F000000));
            put(x, K + i, k + mul_shift(v, t, 10));
        }
    }
    int32_t y = within(2 * get(x, MEAN), 0x7FFF);
    for (int i = 0; i < 4; i++) {
        int32_t k = within(product_over(get(x, K + i), y, alpha), 0x2000000);
        k = (i == 0 ? k << 1 : k >> 4) + get(x, SOC + i);
        k = at_most(k, most[i]);
        put(x, SOC + i, at_least(k, i == 0 ? -1342177 : -most[i]));
    }
}

static inline void widen(words_t x, int32_t history) {
    int32_t deviation = at_most(((get(x, R1) + get(x, R2)) * history >> 8) + 100, 0x3FFF);
    put(x, PAST, at_least(get(x, PAST), deviation * deviation >> 6));
}

static inline void lose(words_t x, int32_t lost_ms) {
    int32_t before = x[UNSEEN] / 100;
    x[UNSEEN] = at_most(x[UNSEEN] + lost_ms, UNSEEN_MAX_MS);
    int32_t after = before + floor_div(lost_ms + 99, 100);
    int32_t more = floor_div((after - before) * (after + before) * UNSEEN_VARIANCE, 100) + 1;
    x[D0] = at_most(x[D0] + more, D_MAX + BIAS);
    widen(x, at_most(after, LOADED));
}

static void close_block(words_t x, tables_t tab) {
    predict(x, tab);
    spread(x);
    if (x[WEIGHT] > BIAS) {
        linearise(x, tab);
        if (surprise(x) > GATE) {
            put(x, D0, at_most(4 * get(x, D0), D_MAX));
            if (++x[ODD] >= RESTART_BLOCKS) {
                put(x, D0, at_least(get(x, D0), RESTART_VARIANCE));
                x[ODD] = 0;
            }
        } else {
            x[ODD] = 0;
            correct(x);
        }
        spread(x);
    }
    x[SPAN] = x[WEIGHT] = x[MEAN] = x[DROP] = BIAS;
    x[SIGMA_CPCT] = at_least(get(x, SIGMA) * 10000 >> 14, FLOOR_CPCT);
}

static void sample(
    words_t x, tables_t tab, int32_t dt_ms, int32_t current_ma, int32_t cell_16mv, int32_t temp_dc, int32_t lost_ms) {
    if (cell_16mv < LEAST_MV << 4 || cell_16mv > MOST_MV << 4) {
        cell_16mv = 0;
    }
    int32_t capacity = x[CAPACITY];
    int32_t scaled = current_ma >> x[SHIFT];
    int32_t whole = floor_div_by(scaled, capacity);
    int32_t part = scaled - whole * capacity;
    whole = at_least(at_most(whole, 16), -17);
    int32_t rate = (whole << 16) + ((part << 16) + (capacity >> 1)) / capacity;
    put(x, DT, dt_ms);
    put(x, RATE, rate);
    put(x, VOLT, cell_16mv * 262 + cell_16mv * 144 / 1000);
    put(x, TEMP, at_most(at_least(temp_dc, -600), 1500));
    look_up(x, tab);
    int32_t first = x[HISTORY];
    if (first) {
        widen(x, first);
        if (first == LOADED) {
            put(x, V2, ((rate >> 8) * get(x, R2) >> 9) * BEFORE);
        }
        int32_t deviation = slow_error(x, tab);
        put(x, D1, deviation * deviation);
        x[HISTORY] = 0;
    }
    if (lost_ms) {
        lose(x, lost_ms);
    } else if (cell_16mv) {
        x[UNSEEN] = 0;
    }
    advance(x, tab);
    if (first || get(x, SPAN) >= BLOCK_MS) {
        close_block(x, tab);
    }
    x[SOC_CPCT] = at_most(at_least((get(x, SOC) >> 12) * 10000 >> 14, 0), 10000);
}

// observe(words, tables, dt_ms, current_ma, cell_16mv, temp_dc, lost_ms)
static mp_obj_t observe(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t words, tables;
    mp_get_buffer_raise(args[0], &words, MP_BUFFER_RW);
    mp_get_buffer_raise(args[1], &tables, MP_BUFFER_READ);
    if (words.len < WORDS * sizeof(int32_t) || tables.len < tables_bytes(tables.buf)) {
        mp_raise_ValueError("words or tables are too short");
    }
    sample(words.buf, tables.buf, mp_obj_get_int(args[2]), mp_obj_get_int(args[3]), mp_obj_get_int(args[4]),
        mp_obj_get_int(args[5]), mp_obj_get_int(args[6]));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(observe_obj, 7, 7, observe);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_observe, MP_OBJ_FROM_PTR(&observe_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
