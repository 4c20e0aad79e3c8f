// What MicroPython asks of every port: the console, delays, time.
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "an500.h"
#include "uart.h"

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    if ((poll_flags & MP_STREAM_POLL_RD) && uart_any(0)) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    uint8_t byte;
    while (uart_read(0, &byte, 1) == 0) {
        mp_event_wait_indefinite();
    }
    return byte;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    uart_console_write(str, len);
    return len;
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t start = mp_hal_ticks_us();
    // Whole milliseconds asleep, the rest awake: sleep_ms(5) is 5 ms, not 5 ticks of a clock that was between two.
    mp_uint_t gone_ms;
    while ((gone_ms = (mp_hal_ticks_us() - start) / 1000) < ms) {
        if (ms - gone_ms > 1) {
            mp_event_wait_ms(1);
        } else {
            mp_event_handle_nowait();
        }
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    uint32_t start = mp_hal_ticks_us();
    while (mp_hal_ticks_us() - start < us) {
    }
}

uint64_t mp_hal_time_ns(void) {
    return (uint64_t)mp_hal_ticks_ms() * 1000000u;
}
