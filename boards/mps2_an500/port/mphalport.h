#include <stddef.h>
#include <stdint.h>

#include "shared/runtime/interrupt_char.h"
#include "systick.h"

static inline mp_uint_t mp_hal_ticks_ms(void) {
    uint32_t ms, counts;
    systick_now(&ms, &counts);
    return ms;
}

static inline mp_uint_t mp_hal_ticks_us(void) {
    uint32_t ms, counts;
    systick_now(&ms, &counts);
    return ms * 1000 + counts / SYSTICK_PER_US;
}

static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return systick_counts();
}

// Sleeping ends with any interrupt, SysTick's within a millisecond, so nothing that was missed waits longer.
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) __asm volatile ("wfi" ::: "memory")
