// mps2.UART: a non-blocking stream over the receive rings. Everything the safety tick calls allocates nothing.
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "modmps2.h"
#include "uart.h"

typedef struct {
    mp_obj_base_t base;
    unsigned n;
} uart_obj_t;

static const uart_obj_t uart_objs[UART_COUNT] = {
    { { &mps2_uart_type }, 0 }, { { &mps2_uart_type }, 1 }, { { &mps2_uart_type }, 2 },
};

static unsigned uart_n(mp_obj_t self) {
    return ((const uart_obj_t *)MP_OBJ_TO_PTR(self))->n;
}

static mp_obj_t uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *all_args) {
    enum { ARG_n, ARG_rxbuf, ARG_lockstep };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_n, MP_ARG_REQUIRED | MP_ARG_INT, {.u_int = 0} },
        { MP_QSTR_rxbuf, MP_ARG_INT, {.u_int = 4096} },
        { MP_QSTR_lockstep, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all_kw_array(n_args, n_kw, all_args, MP_ARRAY_SIZE(allowed), allowed, args);
    mp_int_t n = args[ARG_n].u_int;
    mp_int_t limit = args[ARG_rxbuf].u_int;
    if (n < 1 || n >= UART_COUNT) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("UART %d: 1 or 2 (0 is the console)"), (int)n);
    }
    if (limit < 1 || limit > (mp_int_t)UART_RING) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("rxbuf %d: 1 to %d"), (int)limit, (int)UART_RING);
    }
    uart_open((unsigned)n, (uint32_t)limit, args[ARG_lockstep].u_bool);
    return MP_OBJ_FROM_PTR(&uart_objs[n]);
}

static void uart_print(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    mp_printf(print, "UART(%u)", uart_n(self));
}

static mp_obj_t uart_any_py(mp_obj_t self) {
    return MP_OBJ_NEW_SMALL_INT(uart_any(uart_n(self)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(uart_any_obj, uart_any_py);

static mp_obj_t uart_overruns_py(mp_obj_t self) {
    return MP_OBJ_NEW_SMALL_INT(uart_state[uart_n(self)].overruns & 0x3fffffff);
}
static MP_DEFINE_CONST_FUN_OBJ_1(uart_overruns_obj, uart_overruns_py);

static size_t wanted(size_t n_args, const mp_obj_t *args, size_t length) {
    if (n_args < 3) {
        return length;
    }
    mp_int_t asked = mp_obj_get_int(args[2]);
    return asked < 0 ? 0 : MIN((size_t)asked, length);
}

static mp_obj_t uart_readinto_py(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t to;
    mp_get_buffer_raise(args[1], &to, MP_BUFFER_WRITE);
    return MP_OBJ_NEW_SMALL_INT(uart_read(uart_n(args[0]), to.buf, wanted(n_args, args, to.len)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(uart_readinto_obj, 2, 3, uart_readinto_py);

static mp_obj_t uart_write_py(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t from;
    mp_get_buffer_raise(args[1], &from, MP_BUFFER_READ);
    return MP_OBJ_NEW_SMALL_INT(uart_write(uart_n(args[0]), from.buf, wanted(n_args, args, from.len)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(uart_write_obj, 2, 3, uart_write_py);

static mp_obj_t uart_wait_frame_py(mp_obj_t self) {
    bool got = uart_wait_frame(uart_n(self));
    // Inside a tick (the scheduler is locked) the exception belongs to the main program and stays pending for it.
    if (!got && MP_STATE_VM(sched_state) >= 0) {
        mp_handle_pending(true);
    }
    return mp_obj_new_bool(got);
}
static MP_DEFINE_CONST_FUN_OBJ_1(uart_wait_frame_obj, uart_wait_frame_py);

static mp_obj_t uart_free_py(mp_obj_t self) {
    uart_leave_lockstep(uart_n(self));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(uart_free_obj, uart_free_py);

static const mp_rom_map_elem_t uart_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_any), MP_ROM_PTR(&uart_any_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&uart_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&uart_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_overruns), MP_ROM_PTR(&uart_overruns_obj) },
    { MP_ROM_QSTR(MP_QSTR_wait_frame), MP_ROM_PTR(&uart_wait_frame_obj) },
    { MP_ROM_QSTR(MP_QSTR_leave_lockstep), MP_ROM_PTR(&uart_free_obj) },
};
static MP_DEFINE_CONST_DICT(uart_locals, uart_locals_table);

static mp_uint_t stream_read(mp_obj_t self, void *to, mp_uint_t length, int *errcode) {
    uint32_t count = uart_read(uart_n(self), to, length);
    if (count == 0 && length != 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return count;
}

static mp_uint_t stream_write(mp_obj_t self, const void *from, mp_uint_t length, int *errcode) {
    size_t count = uart_write(uart_n(self), from, length);
    if (count == 0 && length != 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return count;
}

static mp_uint_t stream_ioctl(mp_obj_t self, mp_uint_t request, uintptr_t arg, int *errcode) {
    if (request != MP_STREAM_POLL) {
        *errcode = MP_EINVAL;
        return MP_STREAM_ERROR;
    }
    mp_uint_t ready = 0;
    if ((arg & MP_STREAM_POLL_RD) && uart_any(uart_n(self))) {
        ready |= MP_STREAM_POLL_RD;
    }
    if ((arg & MP_STREAM_POLL_WR) && uart_can_write(uart_n(self))) {
        ready |= MP_STREAM_POLL_WR;
    }
    return ready;
}

static const mp_stream_p_t uart_stream = {
    .read = stream_read,
    .write = stream_write,
    .ioctl = stream_ioctl,
    .is_text = false,
};

MP_DEFINE_CONST_OBJ_TYPE(
    mps2_uart_type,
    MP_QSTR_UART,
    MP_TYPE_FLAG_ITER_IS_STREAM,
    make_new, uart_make_new,
    print, uart_print,
    protocol, &uart_stream,
    locals_dict, &uart_locals
    );
