// From power-on to the REPL, and round again at every soft reset.
#include <string.h>

#include "py/builtin.h"
#include "py/compile.h"
#include "py/cstack.h"
#include "py/frozenmod.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/readline/readline.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"

#include "an500.h"
#include "exec.h"
#include "nvm.h"
#include "reset.h"
#include "safety.h"
#include "systick.h"
#include "uart.h"
#include "watchdog.h"

extern uint8_t _heap_start, _heap_end, _estack;

#define EMERGENCY_BYTES (256)

static bool is_frozen(const char *name) {
    return mp_find_frozen_module(name, NULL, NULL) == MP_IMPORT_STAT_FILE;
}

// A file on the file system wins over the frozen one of the same name (upstream's helper does it the other way round).
static int run(const char *name) {
    if (mp_import_stat(name) == MP_IMPORT_STAT_FILE) {
        return pyexec_file(name);
    }
    return is_frozen(name) ? pyexec_frozen_module(name, true) : 1;
}

static void run_application(void) {
    if (memcmp(nvm_factory()->start, "REPL", 4) == 0) {
        return;
    }
    int result = 1;
    if (is_frozen("boot.py")) {
        result = pyexec_frozen_module("boot.py", false);
    }
    if (!(result & PYEXEC_FORCED_EXIT) && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        run("main.py");
    }
}

static void repl(void) {
    for (;;) {
        bool raw = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL;
        if ((raw ? pyexec_raw_repl() : pyexec_friendly_repl()) != 0) {
            return;
        }
    }
}

static void hardware_init(void) {
    NVIC_SetPriority(PendSV_IRQn, PRIORITY_SAFETY);
    reset_init();
    watchdog_init();
    nvm_init();
    uart_init_console();
    systick_init();
}

int main(void) {
    hardware_init();
    for (;;) {
        mp_cstack_init_with_top(&_estack, AN500_MAIN_STACK);
        gc_init(&_heap_start, &_heap_end);
        exec_init();
        mp_init();
        safety_stop(); // its root pointer must be None before the first tick could look
        mp_alloc_emergency_exception_buf(MP_OBJ_NEW_SMALL_INT(EMERGENCY_BYTES));
        readline_init0();
        pyexec_frozen_module("_boot.py", false);
        run_application();
        repl();
        safety_stop(); // before the heap that its callback lives in goes away
        uart_close(1);
        uart_close(2);
        mp_printf(&mp_plat_print, "MPY: soft reboot\n");
        gc_sweep_all();
        mp_deinit();
        reset_note_soft();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    mp_printf(&mp_plat_print, "fatal: uncaught exception %p\n", val);
    reset_system(RESET_CAUSE_HARD);
}

#ifndef NDEBUG
void __assert_func(const char *file, int line, const char *func, const char *expr) {
    mp_printf(&mp_plat_print, "assert: %s, %s:%d %s\n", expr, file, line, func);
    reset_system(RESET_CAUSE_HARD);
}
#endif
