// The module `mps2`: what boards/mps2_an500/board.py stands on.
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"

#include "an500.h"
#include "exec.h"
#include "modmps2.h"
#include "nvm.h"
#include "safety.h"
#include "systick.h"
#include "watchdog.h"

static mp_obj_t mps2_safety_timer(size_t n_args, const mp_obj_t *args) {
    if (args[0] == mp_const_none) {
        safety_stop();
        return mp_const_none;
    }
    mp_int_t period_ms = n_args == 2 ? mp_obj_get_int(args[1]) : 0;
    if (period_ms < 1) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("period_ms %d: at least 1"), (int)period_ms);
    }
    if (!mp_obj_is_callable(args[0])) {
        mp_raise_TypeError(MP_ERROR_TEXT("callback: a callable or None"));
    }
    safety_start(args[0], (uint32_t)period_ms);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mps2_safety_timer_obj, 1, 2, mps2_safety_timer);

static mp_obj_t mps2_safety_errors(void) {
    return MP_OBJ_NEW_SMALL_INT(safety_errors & 0x3fffffff);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_safety_errors_obj, mps2_safety_errors);

static mp_obj_t mps2_safety_overruns(void) {
    return MP_OBJ_NEW_SMALL_INT(safety_overruns & 0x3fffffff);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_safety_overruns_obj, mps2_safety_overruns);

// Bytes of native code that .mpy files brought: all of it, and what of it had to go into the heap.
static mp_obj_t mps2_native_code(void) {
    mp_obj_t sizes[] = { mp_obj_new_int_from_uint(exec_used()), mp_obj_new_int_from_uint(exec_used_heap()) };
    return mp_obj_new_tuple(2, sizes);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_native_code_obj, mps2_native_code);

static mp_obj_t mps2_counts(void) {
    return MP_OBJ_NEW_SMALL_INT(systick_counts() & 0x3fffffff);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_counts_obj, mps2_counts);

// Sleeps until an interrupt brought work since the last idle() or ms are over.
static mp_obj_t mps2_idle(mp_obj_t ms_in) {
    static uint32_t seen;
    uint32_t start = systick_ms;
    mp_int_t ms = mp_obj_get_int(ms_in);
    for (;;) {
        __disable_irq();
        uint32_t work = an500_work;
        bool wake = work != seen || MP_STATE_VM(sched_state) == MP_SCHED_PENDING
            || (mp_int_t)(systick_ms - start) >= ms;
        if (!wake) {
            __WFI(); // ends by a pending interrupt although they are masked: none is lost between the check and here
        }
        __enable_irq();
        __ISB();
        if (wake) {
            seen = work;
            break;
        }
    }
    mp_handle_pending(true);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mps2_idle_obj, mps2_idle);

static mp_obj_t mps2_watchdog(mp_obj_t timeout_in) {
    mp_int_t timeout_ms = mp_obj_get_int(timeout_in);
    if (timeout_ms < 1) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("timeout_ms %d: at least 1"), (int)timeout_ms);
    }
    watchdog_start((uint32_t)timeout_ms);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mps2_watchdog_obj, mps2_watchdog);

static mp_obj_t mps2_watchdog_feed(void) {
    watchdog_feed();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_watchdog_feed_obj, mps2_watchdog_feed);

// Told by whoever starts the emulator, since it must be known before the first byte comes.
static mp_obj_t mps2_lockstep(void) {
    return mp_obj_new_bool(memcmp(nvm_factory()->clock, "STEP", 4) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_lockstep_obj, mps2_lockstep);

static mp_obj_t mps2_dma_line(void) {
    return mp_obj_new_bool(dma_line_chosen());
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_dma_line_obj, mps2_dma_line);

static const mp_rom_map_elem_t mps2_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_mps2) },
    { MP_ROM_QSTR(MP_QSTR_UART), MP_ROM_PTR(&mps2_uart_type) },
    { MP_ROM_QSTR(MP_QSTR_DmaLine), MP_ROM_PTR(&mps2_dma_line_type) },
    { MP_ROM_QSTR(MP_QSTR_Flash), MP_ROM_PTR(&mps2_flash_type) },
    { MP_ROM_QSTR(MP_QSTR_NVM), MP_ROM_PTR(&mps2_nvm_type) },
    { MP_ROM_QSTR(MP_QSTR_nvm_read), MP_ROM_PTR(&mps2_nvm_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_nvm_program), MP_ROM_PTR(&mps2_nvm_program_obj) },
    { MP_ROM_QSTR(MP_QSTR_nvm_erase), MP_ROM_PTR(&mps2_nvm_erase_obj) },
    #if CELLKEEPER_SAFETY_HARD
    { MP_ROM_QSTR(MP_QSTR_SAFETY_TIMER), MP_ROM_QSTR(MP_QSTR_hard) },
    #else
    { MP_ROM_QSTR(MP_QSTR_SAFETY_TIMER), MP_ROM_QSTR(MP_QSTR_scheduled) },
    #endif
    { MP_ROM_QSTR(MP_QSTR_safety_timer), MP_ROM_PTR(&mps2_safety_timer_obj) },
    { MP_ROM_QSTR(MP_QSTR_safety_errors), MP_ROM_PTR(&mps2_safety_errors_obj) },
    { MP_ROM_QSTR(MP_QSTR_safety_overruns), MP_ROM_PTR(&mps2_safety_overruns_obj) },
    { MP_ROM_QSTR(MP_QSTR_native_code), MP_ROM_PTR(&mps2_native_code_obj) },
    { MP_ROM_QSTR(MP_QSTR_counts), MP_ROM_PTR(&mps2_counts_obj) },
    { MP_ROM_QSTR(MP_QSTR_lockstep), MP_ROM_PTR(&mps2_lockstep_obj) },
    { MP_ROM_QSTR(MP_QSTR_dma_line), MP_ROM_PTR(&mps2_dma_line_obj) },
    { MP_ROM_QSTR(MP_QSTR_idle), MP_ROM_PTR(&mps2_idle_obj) },
    { MP_ROM_QSTR(MP_QSTR_watchdog), MP_ROM_PTR(&mps2_watchdog_obj) },
    { MP_ROM_QSTR(MP_QSTR_watchdog_feed), MP_ROM_PTR(&mps2_watchdog_feed_obj) },
};
static MP_DEFINE_CONST_DICT(mps2_globals, mps2_globals_table);

const mp_obj_module_t mps2_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&mps2_globals,
};
MP_REGISTER_MODULE(MP_QSTR_mps2, mps2_module);
