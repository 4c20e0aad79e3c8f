// Two layers. SysTick counts the timeout in device time, exact in lock-step where device time stands still between
// frames. The CMSDK watchdog at 0x40008000 stands behind it at twice the timeout, for code that keeps interrupts off:
// its first expiry is the NMI, which records the cause and resets; its second resets by itself.
#include "an500.h"
#include "reset.h"
#include "uart.h"
#include "watchdog.h"

typedef struct {
    volatile uint32_t LOAD, VALUE, CONTROL, INTCLR, RIS, MIS;
    uint32_t reserved[0x2fa];
    volatile uint32_t LOCK;
} wdog_t;

#define WDOG ((wdog_t *)0x40008000u)
#define WDOG_UNLOCK (0x1ACCE551u)
#define WDOG_ENABLE (3u) // interrupt (NMI) and reset

static volatile uint32_t timeout, left;
static bool in_hardware, in_lockstep;

// QEMU's model counts on while it is disabled. After its second round, some six minutes of emulated time, which pass in
// seconds while the device waits for the rig, it holds a reset back that CONTROL lets out at once. Only a load of 0
// stops it (it says so once on stderr: "Timer with delta zero"), and counts as a round, which INTCLR forgets.
static void hardware_stop(void) {
    WDOG->LOCK = WDOG_UNLOCK;
    WDOG->CONTROL = 0;
    WDOG->LOAD = 0;
    WDOG->INTCLR = 1;
    in_hardware = false;
}

void watchdog_init(void) {
    timeout = left = 0;
    hardware_stop();
}

void watchdog_start(uint32_t timeout_ms) {
    uint32_t state = an500_irq_off();
    timeout = left = timeout_ms;
    if (!in_lockstep) {
        uint64_t counts = (uint64_t)timeout_ms * 2 * (AN500_CLOCK_HZ / 1000);
        WDOG->LOCK = WDOG_UNLOCK;
        WDOG->LOAD = counts > 0xffffffffu ? 0xffffffffu : (uint32_t)counts;
        WDOG->INTCLR = 1;
        WDOG->CONTROL = WDOG_ENABLE;
        in_hardware = true;
    }
    an500_irq_restore(state);
}

void watchdog_feed(void) {
    uint32_t state = an500_irq_off();
    left = timeout;
    if (in_hardware) {
        WDOG->INTCLR = 1; // loads the counter again
    }
    an500_irq_restore(state);
}

void watchdog_ms(void) {
    if (left != 0 && --left == 0) {
        uart_console_puts_hex("\r\nwatchdog: not fed\r\n", 0, false);
        reset_system(RESET_CAUSE_WATCHDOG);
    }
}

// In lock-step the hardware layer must be still: it counts emulated time, which runs on while the device waits for the
// rig.
void watchdog_enter_lockstep(void) {
    if (!in_lockstep) {
        in_lockstep = true;
        hardware_stop();
    }
}
