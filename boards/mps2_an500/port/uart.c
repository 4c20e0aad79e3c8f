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

#define TX_PATIENCE_MS (1)
#define CONSOLE_PATIENCE_MS (1000)
#define LOCKSTEP_LOOKS (100000)
#define LOCKSTEP_PAUSE (200)
#define FAULT_LOOKS (20000)

static cmsdk_uart_t *const hardware[UART_COUNT] = {
    (cmsdk_uart_t *)0x40004000u, (cmsdk_uart_t *)0x40005000u, (cmsdk_uart_t *)0x40006000u,
};
static const IRQn_Type rx_irq[UART_COUNT] = { UART0_RX_IRQn, UART1_RX_IRQn, UART2_RX_IRQn };
static uint8_t rings[UART_COUNT][UART_RING];
uart_state_t uart_state[UART_COUNT];
static bool console_stalled;
static volatile bool lockstep; // some UART is in lock-step

void uart_open(unsigned n, uint32_t limit, bool in_lockstep) {
    uart_state_t *u = &uart_state[n];
    u->limit = limit;
    if (u->open) {
        return; // what waits is not thrown away
    }
    u->ring = rings[n];
    u->head = u->tail = u->zeros_in = u->zeros_out = u->overruns = 0;
    u->lockstep = in_lockstep;
    u->open = true;
    hardware[n]->BAUDDIV = 27; // 25 MHz / 921,600 baud
    hardware[n]->CTRL = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    NVIC_SetPriority(rx_irq[n], PRIORITY_UART);
    if (in_lockstep) {
        lockstep = true;
    } else {
        NVIC_EnableIRQ(rx_irq[n]);
    }
}

static void leave_lockstep_state(unsigned n) {
    uart_state[n].lockstep = false;
    lockstep = uart_state[1].lockstep || uart_state[2].lockstep;
}

void uart_close(unsigned n) {
    // With the receiver off the emulator holds bytes back: nothing is lost between a soft reset and the next open.
    NVIC_DisableIRQ(rx_irq[n]);
    hardware[n]->CTRL = CTRL_TX;
    uart_state[n].open = false;
    leave_lockstep_state(n);
}

void uart_init_console(void) {
    uart_open(0, 4096, false);
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

// Waits for the transmitter, for a bounded time: a peer that stopped reading must not stop the safety tick.
static bool tx_ready_free(unsigned n) {
    uint32_t start = systick_counts();
    while (!uart_can_write(n)) {
        if (systick_counts() - start > TX_PATIENCE_MS * SYSTICK_PER_MS) {
            return false;
        }
    }
    return true;
}

// The same with device time standing still, so bounded by looks; the lock-step peer itself may take as long as it likes.
static bool tx_ready_lockstep(unsigned n) {
    for (int looks = 0; !uart_can_write(n); looks++) {
        bool broken = MP_STATE_THREAD(mp_pending_exception) != MP_OBJ_NULL;
        if (broken || (!uart_state[n].lockstep && looks >= LOCKSTEP_LOOKS)) {
            return false;
        }
        for (int i = 0; i < LOCKSTEP_PAUSE; i++) {
            __NOP(); // leaves the emulator's other thread room to empty the transmitter
        }
    }
    return true;
}

size_t uart_write(unsigned n, const uint8_t *from, size_t length) {
    // In lock-step sending takes no device time at all: how fast the host takes the bytes must not show.
    uint32_t state = an500_irq_off(); // a tick between the two steps of a pause would be counted twice
    bool counting = lockstep && systick_pause();
    an500_irq_restore(state);
    size_t i = 0;
    while (i < length && (lockstep ? tx_ready_lockstep(n) : tx_ready_free(n))) {
        hardware[n]->DATA = from[i];
        i += 1;
    }
    systick_resume(counting);
    return i;
}

void uart_console_write(const char *from, size_t length) {
    // A reader that is merely slow gets a second, once; from then on a reader that is gone costs a look a write.
    uint32_t start = systick_ms;
    while (length > 0) {
        size_t count = console_stalled && !uart_can_write(0) ? 0 : uart_write(0, (const uint8_t *)from, length);
        from += count;
        length -= count;
        if (count > 0) {
            console_stalled = false;
            start = systick_ms;
        } else if (console_stalled || lockstep || __get_IPSR() != 0 || systick_ms - start > CONSOLE_PATIENCE_MS) {
            console_stalled = true;
            return;
        }
    }
}

// For faults: no heap, no formatting library, no clock.
static void fault_write(const char *c) {
    for (int looks = 0; looks < FAULT_LOOKS && !uart_can_write(0); looks++) {
    }
    hardware[0]->DATA = (uint8_t)*c;
}

void uart_console_puts_hex(const char *text, uint32_t value, bool with_value) {
    for (; *text; text++) {
        fault_write(text);
    }
    for (int shift = 28; with_value && shift >= 0; shift -= 4) {
        fault_write(&"0123456789abcdef"[(value >> shift) & 15]);
    }
}

void uart_leave_lockstep(unsigned n) {
    leave_lockstep_state(n);
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
    lockstep = true;
    __disable_irq();
    bool counting = systick_pause();
    bool got;
    for (;;) {
        got = u->zeros_in != u->zeros_out || u->head - u->tail >= u->limit;
        if (got || MP_STATE_THREAD(mp_pending_exception) != MP_OBJ_NULL) {
            break;
        }
        NVIC_EnableIRQ(rx_irq[n]);
        if (hardware[n]->STATE & STATE_RXFULL) {
            // What came together with the frame before. Renode's receiver queues, and raises no second interrupt for it.
            NVIC_SetPendingIRQ(rx_irq[n]);
        }
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
