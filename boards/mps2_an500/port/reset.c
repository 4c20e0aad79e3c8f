// Why we started. The cause is a word in no-init RAM: it lives over every reset and not over a power cut (a new emulator).
#include "an500.h"
#include "reset.h"

#define NOINIT_MAGIC (0x434b5052u)

typedef struct {
    uint32_t magic;
    uint32_t cause;
    uint32_t check; // a half-lost word must not pass for a cause
} noinit_t;

extern noinit_t _noinit;
static int cause_now;

static void noinit_write(uint32_t cause) {
    volatile noinit_t *n = &_noinit;
    n->magic = NOINIT_MAGIC;
    n->cause = cause;
    n->check = ~cause;
}

void reset_init(void) {
    volatile noinit_t *n = &_noinit;
    bool known = n->magic == NOINIT_MAGIC && n->check == ~n->cause;
    cause_now = known ? (int)n->cause : RESET_CAUSE_POWER_ON;
    // Whoever resets us from outside (a monitor, a probe) writes nothing: that is a hard reset.
    noinit_write(RESET_CAUSE_HARD);
}

int reset_cause(void) {
    return cause_now;
}

void reset_note_soft(void) {
    cause_now = RESET_CAUSE_SOFT;
}

void reset_system(int cause) {
    __disable_irq();
    noinit_write((uint32_t)cause);
    __DSB();
    NVIC_SystemReset();
    for (;;) {
    }
}
