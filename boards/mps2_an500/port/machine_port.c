// Included by extmod/modmachine.c: what `machine` needs from this board.
#include <string.h>

#include "an500.h"
#include "nvm.h"
#include "reset.h"

static void mp_machine_idle(void) {
    __WFI();
}

NORETURN static void mp_machine_reset(void) {
    reset_system(RESET_CAUSE_HARD);
}

static mp_int_t mp_machine_reset_cause(void) {
    return reset_cause();
}

// The emulated chip has no identity: the factory page gives one to each of many emulated boards.
static mp_obj_t machine_unique_id(void) {
    const uint8_t *id = nvm_factory()->unique_id;
    bool given = false;
    for (size_t i = 1; i < sizeof(nvm_factory()->unique_id); i++) {
        given |= id[i] != id[0];
    }
    given |= id[0] != 0x00 && id[0] != 0xff;
    return mp_obj_new_bytes(given ? id : (const uint8_t *)"MPS2-500", sizeof(nvm_factory()->unique_id));
}
MP_DEFINE_CONST_FUN_OBJ_0(machine_unique_id_obj, machine_unique_id);

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_unique_id), MP_ROM_PTR(&machine_unique_id_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(RESET_CAUSE_POWER_ON) }, \
    { MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(RESET_CAUSE_HARD) }, \
    { MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(RESET_CAUSE_WATCHDOG) }, \
    { MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(RESET_CAUSE_SOFT) },
