#ifndef CELLKEEPER_UART_H
#define CELLKEEPER_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_COUNT (3)
#define UART_RING (8192u)       // a power of two

typedef struct {
    volatile uint32_t head, tail;           // head: written by the interrupt, tail: by the reader; both run freely
    volatile uint32_t zeros_in, zeros_out;  // COBS delimiters that went in and came out: their difference waits
    volatile uint32_t overruns;
    uint32_t limit;                         // bytes that may wait
    volatile bool lockstep;                 // receive only inside uart_wait_frame
    bool open;
    uint8_t *ring;
} uart_state_t;

extern uart_state_t uart_state[UART_COUNT];

void uart_init_console(void);
void uart_open(unsigned n, uint32_t limit, bool lockstep);
void uart_close(unsigned n);
uint32_t uart_any(unsigned n);
uint32_t uart_read(unsigned n, uint8_t *to, uint32_t length);
size_t uart_write(unsigned n, const uint8_t *from, size_t length);
bool uart_can_write(unsigned n);
bool uart_wait_frame(unsigned n);
void uart_leave_lockstep(unsigned n);
void uart_console_write(const char *from, size_t length);
void uart_console_puts_hex(const char *text, uint32_t value, bool with_value);
void UART0_RX_Handler(void);
void UART1_RX_Handler(void);
void UART2_RX_Handler(void);

#endif
