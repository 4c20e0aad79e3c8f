// The safety timer. SysTick decides when; the hard build runs the callback from PendSV, the lowest priority, so that it
// preempts every line of Python yet never holds up a received byte or the clock. The scheduled build is what ESP32 and
// i.MX RT ports of MicroPython offer.
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"

#include "an500.h"
#include "safety.h"

#define TRACEBACKS_MAX (8) // a tick that always fails would otherwise drown the console, 200 times a second

volatile uint32_t safety_errors, safety_overruns;
static volatile uint32_t period, left;
static volatile bool busy;
static uint32_t tracebacks;

MP_REGISTER_ROOT_POINTER(mp_obj_t safety_callback);

void safety_stop(void) {
    uint32_t state = an500_irq_off();
    period = 0;
    MP_STATE_VM(safety_callback) = mp_const_none;
    an500_irq_restore(state);
}

void safety_start(mp_obj_t callback, uint32_t period_ms) {
    uint32_t state = an500_irq_off();
    MP_STATE_VM(safety_callback) = callback;
    period = left = period_ms;
    safety_errors = safety_overruns = 0;
    tracebacks = 0;
    an500_irq_restore(state);
}

static void report(mp_obj_t exception) {
    safety_errors += 1;
    if (tracebacks < TRACEBACKS_MAX) {
        tracebacks += 1;
        mp_printf(MICROPY_ERROR_PRINTER, "safety timer:%s\n", tracebacks == TRACEBACKS_MAX ? " (the last shown)" : "");
        mp_obj_print_exception(MICROPY_ERROR_PRINTER, exception);
    }
}

static void run_callback(void) {
    mp_obj_t callback = MP_STATE_VM(safety_callback);
    if (callback != mp_const_none) {
        nlr_buf_t nlr;
        if (nlr_push(&nlr) == 0) {
            mp_call_function_1(callback, MP_OBJ_NEW_SMALL_INT(0));
            nlr_pop();
        } else {
            report(MP_OBJ_FROM_PTR(nlr.ret_val));
        }
    }
    busy = false;
    an500_work += 1;
}

#if CELLKEEPER_SAFETY_HARD

static bool post(void) {
    SCB->ICSR = SCB_ICSR_PENDSVSET_Msk;
    return true;
}

void PendSV_Handler(void) {
    // The scheduler is locked so that nothing scheduled, and no Ctrl-C, lands inside the tick; the heap is locked since
    // the tick may have interrupted the collector.
    mp_sched_lock();
    gc_lock();
    size_t limit = MP_STATE_THREAD(stack_limit);
    MP_STATE_THREAD(stack_limit) = limit + AN500_TICK_STACK;
    run_callback();
    MP_STATE_THREAD(stack_limit) = limit;
    gc_unlock();
    mp_sched_unlock();
}

#else

static mp_obj_t run_scheduled(mp_obj_t arg) {
    run_callback();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(run_scheduled_obj, run_scheduled);

static bool post(void) {
    return mp_sched_schedule(MP_OBJ_FROM_PTR(&run_scheduled_obj), MP_OBJ_NEW_SMALL_INT(0));
}

void PendSV_Handler(void) {
}

#endif

void safety_ms(void) {
    if (period == 0 || --left != 0) {
        return;
    }
    left = period;
    if (busy) {
        safety_overruns += 1; // a late tick is counted, never queued
        return;
    }
    busy = true;
    if (!post()) {
        busy = false;
        safety_overruns += 1;
    }
    an500_work += 1;
}
