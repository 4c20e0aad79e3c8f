// The parts of QEMU's mps2-an500 (Cortex-M7) that this port uses, in the form CMSIS wants them.
#ifndef CELLKEEPER_AN500_H
#define CELLKEEPER_AN500_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    NonMaskableInt_IRQn = -14,
    HardFault_IRQn = -13,
    MemoryManagement_IRQn = -12,
    BusFault_IRQn = -11,
    UsageFault_IRQn = -10,
    SVCall_IRQn = -5,
    DebugMonitor_IRQn = -4,
    PendSV_IRQn = -2,
    SysTick_IRQn = -1,
    UART0_RX_IRQn = 0,
    UART1_RX_IRQn = 2,
    UART2_RX_IRQn = 4,
} IRQn_Type;

#define __CM7_REV 0x0000U
#define __MPU_PRESENT 1
#define __VTOR_PRESENT 1
#define __FPU_PRESENT 1
#define __FPU_DP 1
#define __ICACHE_PRESENT 0
#define __DCACHE_PRESENT 0
#define __NVIC_PRIO_BITS 4
#define __Vendor_SysTickConfig 1
#include "core_cm7.h"

#define AN500_CLOCK_HZ (25000000u)

// Received bytes must never wait for the tick, and the tick must never wait for Python.
#define PRIORITY_UART (2)
#define PRIORITY_SYSTICK (4)
#define PRIORITY_SAFETY (15)

#define PSRAM_BASE (0x60000000u)

// Counts what interrupts brought; a sleeper compares it with what it has seen, so no wake-up is lost.
extern volatile uint32_t an500_work;

static inline uint32_t an500_irq_off(void) {
    uint32_t state = __get_PRIMASK();
    __disable_irq();
    return state;
}

static inline void an500_irq_restore(uint32_t state) {
    __set_PRIMASK(state);
}

#endif
