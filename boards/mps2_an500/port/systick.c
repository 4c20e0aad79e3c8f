// Device time. SysTick is the only clock in every mode (free running, lock-step, Renode), so ticks mean the same in all.
#include "an500.h"
#include "safety.h"
#include "systick.h"
#include "watchdog.h"

volatile uint32_t systick_ms;

void systick_init(void) {
    // RVR, CVR, CSR in that order: Renode loads the counter from RVR when CVR is written.
    SysTick->LOAD = SYSTICK_PER_MS - 1;
    SysTick->VAL = 0;
    SysTick->CTRL = SysTick_CTRL_CLKSOURCE_Msk | SysTick_CTRL_TICKINT_Msk | SysTick_CTRL_ENABLE_Msk;
    NVIC_SetPriority(SysTick_IRQn, PRIORITY_SYSTICK);
}

void SysTick_Handler(void) {
    systick_ms += 1;
    watchdog_ms();
    safety_ms();
}

void systick_now(uint32_t *ms, uint32_t *counts_in_ms) {
    uint32_t state = an500_irq_off();
    uint32_t value = SysTick->VAL;
    uint32_t whole = systick_ms;
    // An emulator may show 0 before it has raised the interrupt: the ms would then seem to start twice. Look again,
    // a bounded number of times since a stopped counter may stand at 0 for good.
    for (int i = 0; value == 0 && i < 64 && !(SCB->ICSR & SCB_ICSR_PENDSTSET_Msk); i++) {
        value = SysTick->VAL;
    }
    if (SCB->ICSR & SCB_ICSR_PENDSTSET_Msk) {
        value = SysTick->VAL; // surely read after the wrap that is pending
        whole += 1;
    }
    an500_irq_restore(state);
    *ms = whole;
    *counts_in_ms = value == 0 ? 0 : SYSTICK_PER_MS - value;
}

uint32_t systick_counts(void) {
    uint32_t ms, counts;
    systick_now(&ms, &counts);
    return ms * SYSTICK_PER_MS + counts;
}

// Paused is a reload value of 0, not a cleared ENABLE: in Renode any interrupt line that rises sets ENABLE again (it takes
// it for a wake-up), and a counter without a reload value stays still even so.
bool systick_pause(void) {
    if (SysTick->LOAD == 0) {
        return false;
    }
    SysTick->CTRL = SysTick_CTRL_CLKSOURCE_Msk | SysTick_CTRL_TICKINT_Msk;
    SysTick->LOAD = 0;
    // Stopped in the very count in which it wrapped, QEMU's counter stands at 0 and forgets its interrupt.
    if (SysTick->VAL == 0 && !(SCB->ICSR & SCB_ICSR_PENDSTSET_Msk)) {
        SCB->ICSR = SCB_ICSR_PENDSTSET_Msk;
    }
    return true;
}

void systick_resume(bool was_counting) {
    if (was_counting) {
        // CVR stays untouched: counting goes on exactly where it stood. ENABLE is read and cleared before the reload
        // value comes back: Renode would start at that value.
        SysTick->CTRL &= ~SysTick_CTRL_ENABLE_Msk;
        SysTick->LOAD = SYSTICK_PER_MS - 1;
        SysTick->CTRL = SysTick_CTRL_CLKSOURCE_Msk | SysTick_CTRL_TICKINT_Msk | SysTick_CTRL_ENABLE_Msk;
    }
}
