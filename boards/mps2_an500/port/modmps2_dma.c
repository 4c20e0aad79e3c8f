// mps2.DmaLine: UART 1 as a controller with DMA sees it. The bytes lie in memory, the wire carries one byte (a doorbell)
// when there are new ones. The emulator hands UART bytes over one by one, some 30 us each; this keeps lock-step quick.
// Same interface as mps2.UART, no byte of any frame differs. Chosen by the factory page: whoever starts the emulator
// must know the window, too.
#include <string.h>

#include "py/runtime.h"

#include "modmps2.h"
#include "nvm.h"
#include "uart.h"

#define DMA_OFFSET (0xB00000u)
#define DMA_RING (0x10000u)     // a power of two
#define DMA_UART (1)

typedef struct {
    volatile uint32_t rx_head;  // written by the rig
    volatile uint32_t rx_tail;  // written by the board
    volatile uint32_t tx_head;  // written by the board
    volatile uint32_t tx_tail;  // written by the rig
    uint8_t unused[0x1000 - 16];
    uint8_t rx[DMA_RING];
    uint8_t tx[DMA_RING];
} dma_window_t;

typedef struct {
    mp_obj_base_t base;
} dma_obj_t;

static const dma_obj_t dma_line = { { &mps2_dma_line_type } };
static dma_window_t *const window = (dma_window_t *)(0x60000000u + DMA_OFFSET);
static uint32_t rx_limit;       // what the last doorbell announced: bytes beyond it are looked at no earlier
static bool waiting_line;       // in lock-step the doorbell rings when the board waits, before that at every write

static void ring_doorbell(void) {
    uart_write(DMA_UART, (const uint8_t *)"", 1);
}

static void answer_doorbell(void) {
    uint8_t byte;
    bool rang = false;
    while (uart_read(DMA_UART, &byte, 1)) {
        rang = true;
    }
    if (rang) {
        rx_limit = window->rx_head;
    }
}

static mp_obj_t dma_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    uart_open(DMA_UART, UART_RING, false);
    rx_limit = window->rx_tail;
    waiting_line = false;
    return MP_OBJ_FROM_PTR(&dma_line);
}

static mp_obj_t dma_readinto(mp_obj_t self, mp_obj_t buf) {
    mp_buffer_info_t to;
    mp_get_buffer_raise(buf, &to, MP_BUFFER_WRITE);
    uint32_t tail = window->rx_tail;
    if (tail == rx_limit) {
        answer_doorbell();
    }
    uint32_t count = MIN(rx_limit - tail, (uint32_t)to.len);
    for (uint32_t i = 0; i < count; i++) {
        ((uint8_t *)to.buf)[i] = window->rx[(tail + i) % DMA_RING];
    }
    window->rx_tail = tail + count;
    return MP_OBJ_NEW_SMALL_INT(count);
}
static MP_DEFINE_CONST_FUN_OBJ_2(dma_readinto_obj, dma_readinto);

static mp_obj_t dma_write(mp_obj_t self, mp_obj_t buf, mp_obj_t length) {
    mp_buffer_info_t from;
    mp_get_buffer_raise(buf, &from, MP_BUFFER_READ);
    mp_int_t asked = mp_obj_get_int(length);
    uint32_t head = window->tx_head;
    uint32_t room = DMA_RING - (head - window->tx_tail);
    uint32_t count = asked < 0 ? 0 : MIN(MIN((uint32_t)asked, (uint32_t)from.len), room);
    for (uint32_t i = 0; i < count; i++) {
        window->tx[(head + i) % DMA_RING] = ((const uint8_t *)from.buf)[i];
    }
    window->tx_head = head + count;
    if (!waiting_line) {
        ring_doorbell();
    }
    return MP_OBJ_NEW_SMALL_INT(count);
}
static MP_DEFINE_CONST_FUN_OBJ_3(dma_write_obj, dma_write);

static mp_obj_t dma_wait_frame(mp_obj_t self) {
    waiting_line = true;
    if (rx_limit != window->rx_tail) {
        return mp_const_true;
    }
    ring_doorbell();
    bool got = uart_wait_frame(DMA_UART);
    answer_doorbell();
    if (!got && MP_STATE_VM(sched_state) >= 0) {
        mp_handle_pending(true);
    }
    return mp_obj_new_bool(got);
}
static MP_DEFINE_CONST_FUN_OBJ_1(dma_wait_frame_obj, dma_wait_frame);

// Whether whoever started the emulator uses the window.
bool dma_line_chosen(void) {
    return memcmp(nvm_factory()->line, "DMA1", 4) == 0;
}

static const mp_rom_map_elem_t dma_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&dma_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&dma_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_wait_frame), MP_ROM_PTR(&dma_wait_frame_obj) },
};
static MP_DEFINE_CONST_DICT(dma_locals, dma_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    mps2_dma_line_type,
    MP_QSTR_DmaLine,
    MP_TYPE_FLAG_NONE,
    make_new, dma_make_new,
    locals_dict, &dma_locals
    );
