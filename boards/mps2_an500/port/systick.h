#ifndef CELLKEEPER_SYSTICK_H
#define CELLKEEPER_SYSTICK_H

#include <stdbool.h>
#include <stdint.h>

#define SYSTICK_PER_MS (25000u)
#define SYSTICK_PER_US (25u)

extern volatile uint32_t systick_ms;

void systick_init(void);
uint32_t systick_counts(void);              // 40 ns units since boot, wraps at 2^32
void systick_now(uint32_t *ms, uint32_t *counts_in_ms);
bool systick_pause(void);                   // interrupts off; true when it had been counting
void systick_resume(bool was_counting);
void SysTick_Handler(void);

#endif
