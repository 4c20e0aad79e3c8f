#ifndef CELLKEEPER_WATCHDOG_H
#define CELLKEEPER_WATCHDOG_H

#include <stdint.h>

void watchdog_init(void);
void watchdog_start(uint32_t timeout_ms);
void watchdog_feed(void);
void watchdog_ms(void);         // from SysTick
void watchdog_enter_lockstep(void);

#endif
