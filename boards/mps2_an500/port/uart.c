// CMSDK APB UARTs: interrupt-fed receive rings, polled transmit (the emulated transmitter takes a byte at once).
#include "py/mphal.h"
#include "py/mpstate.h"
#include "py/runtime.h"
#include "shared/runtime/interrupt_char.h"

#include "an500.h"
#include "systick.h"
#include "uart.h"
#include "watchdog.h"

typedef struct {
    volatile uint32_t DATA, STATE, CTRL, INTSTATUS, BAUDDIV;
} cmsdk_uart_t;

enum { STATE_TXFULL = 1, STATE_RXFULL = 2, STATE_RXOVERRUN = 8 };
enum { CTRL_TX = 1, CTRL_RX = 2, CTRL_RX_INTERRUPT = 8 };
enum { INT_RX = 2 };

// A peer that stopped reading must not stop the safety tick: this many looks at a full transmitter, then the rest is lost.
#define TX_LOOKS (20000)
#define CONSOLE_STALL_MS (1000)

static cmsdk_uart_t *const hardware[UART_COUNT] = {
    (cmsdk_uart_t *)0x40004000u, (cmsdk_uart_t *)0x40005000u, (cmsdk_uart_t *)0x40006000u,
};
static const IRQn_Type rx_irq[UART_COUNT] = { UART0_RX_IRQn, UART1_RX_IRQn, UART2_RX_IRQn };
static uint8_t rings[UART_COUNT][UART_RING];
uart_state_t uart_state[UART_COUNT];
static bool console_stalled;

void uart_open(unsigned n, uint32_t limit) {
    uart_state_t *u = &uart_state[n];
    u->limit = limit;
    if (u->open) {
        return; // what waits is not thrown away
    }
    u->ring = rings[n];
    u->head = u->tail = u->zeros_in = u->zeros_out = u->overruns = 0;
    u->lockstep = false;
    u->open = true;
    hardware[n]->BAUDDIV = 27; // 25 MHz / 921,600 baud
    hardware[n]->CTRL = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    NVIC_SetPriority(rx_irq[n], PRIORITY_UART);
    NVIC_EnableIRQ(rx_irq[n]);
}

void uart_close(unsigned n) {
    // With the receiver off the emulator holds bytes back: nothing is lost between a soft reset and the next open.
    NVIC_DisableIRQ(rx_irq[n]);
    hardware[n]->CTRL = CTRL_TX;
    uart_state[n].open = false;
    uart_state[n].lockstep = false;
}

void uart_init_console(void) {
    uart_open(0, 4096);
}

static void received(unsigned n) {
    uart_state_t *u = &uart_state[n];
    cmsdk_uart_t *hw = hardware[n];
    hw->INTSTATUS = INT_RX;
    if (hw->STATE & STATE_RXOVERRUN) {
        hw->STATE = STATE_RXOVERRUN;
        u->overruns += 1;
    }
    while (hw->STATE & STATE_RXFULL) {
        uint8_t byte = (uint8_t)hw->DATA;
        if (n == 0 && byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
            continue;
        }
        if (u->head - u->tail >= u->limit) {
            u->overruns += 1;
            continue;
        }
        u->ring[u->head % UART_RING] = byte;
        u->head += 1;
        if (byte == 0) {
            u->zeros_in += 1;
            if (u->lockstep) {
                // Exactly one frame a wait, in whatever chunks it came: what follows stays outside until the next wait.
                NVIC_DisableIRQ(rx_irq[n]);
                break;
            }
        }
    }
    an500_work += 1;
}

void UART0_RX_Handler(void) {
    received(0);
}

void UART1_RX_Handler(void) {
    received(1);
}

void UART2_RX_Handler(void) {
    received(2);
}

uint32_t uart_any(unsigned n) {
    return uart_state[n].head - uart_state[n].tail;
}

uint32_t uart_read(unsigned n, uint8_t *to, uint32_t length) {
    uart_state_t *u = &uart_state[n];
    uint32_t waiting = u->head - u->tail;
    uint32_t count = length < waiting ? length : waiting;
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte = u->ring[(u->tail + i) % UART_RING];
        zeros += byte == 0;
        to[i] = byte;
    }
    u->zeros_out += zeros;
    u->tail += count;
    return count;
}

bool uart_can_write(unsigned n) {
    return !(hardware[n]->STATE & STATE_TXFULL);
}

size_t uart_write(unsigned n, const uint8_t *from, size_t length) {
    for (size_t i = 0; i < length; i++) {
        for (int looks = 0; !uart_can_write(n); looks++) {
            if (looks >= TX_LOOKS) {
                return i;
            }
        }
        hardware[n]->DATA = from[i];
    }
    return length;
}

static bool console_ready(void) {
    if (uart_can_write(0)) {
        console_stalled = false;
        return true;
    }
    // A reader that is merely slow gets a second, once; a reader that is gone costs one look a byte from then on.
    bool may_sleep = __get_IPSR() == 0 && __get_PRIMASK() == 0;
    uint32_t start = systick_ms;
    for (int looks = 0; !console_stalled; looks++) {
        if (uart_can_write(0)) {
            return true;
        }
        if (may_sleep) {
            __WFI();
        }
        console_stalled = may_sleep ? systick_ms - start > CONSOLE_STALL_MS : looks >= TX_LOOKS;
    }
    return false;
}

void uart_console_write(const char *from, size_t length) {
    for (size_t i = 0; i < length && console_ready(); i++) {
        hardware[0]->DATA = (uint8_t)from[i];
    }
}

// For faults: no heap, no formatting library.
void uart_console_puts_hex(const char *text, uint32_t value, bool with_value) {
    for (; *text; text++) {
        uart_write(0, (const uint8_t *)text, 1);
    }
    for (int shift = 28; with_value && shift >= 0; shift -= 4) {
        uart_write(0, (const uint8_t *)&"0123456789abcdef"[(value >> shift) & 15], 1);
    }
}

void uart_leave_lockstep(unsigned n) {
    uart_state[n].lockstep = false;
    NVIC_EnableIRQ(rx_irq[n]);
}

// Lock-step: device time stands still until a whole frame is here. True: a frame waits (or the ring is full); false: a
// Ctrl-C (or another exception for the main program) came instead.
bool uart_wait_frame(unsigned n) {
    uart_state_t *u = &uart_state[n];
    watchdog_enter_lockstep();
    // From now on bytes come in only here, where no instruction costs device time; else a chunk that arrives while
    // Python runs would shift every later tick.
    u->lockstep = true;
    __disable_irq();
    bool counting = systick_pause();
    bool got;
    for (;;) {
        got = u->zeros_in != u->zeros_out || u->head - u->tail >= u->limit;
        if (got || MP_STATE_THREAD(mp_pending_exception) != MP_OBJ_NULL) {
            break;
        }
        NVIC_EnableIRQ(rx_irq[n]);
        // With interrupts masked between the check and WFI no byte can slip through: a pending one ends WFI at once.
        __WFI();
        __enable_irq();
        __ISB();
        __disable_irq();
    }
    NVIC_DisableIRQ(rx_irq[n]);
    systick_resume(counting);
    __enable_irq();
    return got;
}
