// What the native kernels share: integers that behave as Python's, 32 bits wide.
//
// The Python form of a kernel is the reference; what is computed here is equal to it bit by bit. Signed
// overflow wraps (-fwrapv), >> is arithmetic.
#ifndef CELLKEEPER_KERNEL_H
#define CELLKEEPER_KERNEL_H

#include <stdint.h>

#include "py/dynruntime.h"

#define BIAS 0x20000000

// n // d for d above 0.
static inline int32_t floor_div(int32_t n, int32_t d) {
    int32_t quotient = n / d;
    return quotient + ((n - quotient * d) >> 31);
}

// The same where d comes from a table, and may be 0 in a bad one.
static inline int32_t floor_div_by(int32_t n, int32_t d) {
    if (d == 0) {
        mp_raise_msg((const mp_obj_type_t *)mp_load_global(MP_QSTR_ZeroDivisionError), "divide by zero");
    }
    return floor_div(n, d);
}

// a b >> bits. Python has it as two products of the parts of a below and above that bit: the same.
static inline int32_t mul_shift(int32_t a, int32_t b, int bits) {
    return (int32_t)((int64_t)a * b >> bits);
}

static inline int32_t at_most(int32_t value, int32_t limit) {
    return value > limit ? limit : value;
}

static inline int32_t at_least(int32_t value, int32_t limit) {
    return value < limit ? limit : value;
}

static inline int32_t within(int32_t value, int32_t limit) {
    return at_least(at_most(value, limit), -limit);
}

static inline int32_t magnitude(int32_t value) {
    return value < 0 ? -value : value;
}

// The largest whole number whose square is not above p; p above 0.
static inline int32_t root_of(uint32_t p) {
    uint32_t root = 2u << ((31 - __builtin_clz(p)) >> 1);
    for (;;) {
        uint32_t next = (root + p / root) >> 1;
        if (next >= root) {
            return (int32_t)root;
        }
        root = next;
    }
}

#endif
