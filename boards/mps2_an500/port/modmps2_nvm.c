// mps2.NVM (constants) and mps2.nvm_read/program/erase: the rules of a NOR part, said aloud when broken.
#include <string.h>

#include "py/runtime.h"

#include "modmps2.h"
#include "nvm.h"

static uint32_t nvm_address(mp_obj_t address_in, uint32_t length, const char *what) {
    mp_int_t address = mp_obj_get_int(address_in);
    if (address < 0 || (mp_uint_t)address > NVM_SIZE || length > NVM_SIZE - (mp_uint_t)address) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("nvm %s 0x%x+%u: outside 0..0x%x"),
            what, (unsigned)address, (unsigned)length, NVM_SIZE);
    }
    return (uint32_t)address;
}

static mp_obj_t nvm_read_py(mp_obj_t address_in, mp_obj_t buffer_in) {
    mp_buffer_info_t to;
    mp_get_buffer_raise(buffer_in, &to, MP_BUFFER_WRITE);
    uint32_t address = nvm_address(address_in, to.len, "read");
    memcpy(to.buf, nvm_at(address), to.len);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(mps2_nvm_read_obj, nvm_read_py);

static mp_obj_t nvm_program_py(mp_obj_t address_in, mp_obj_t buffer_in) {
    mp_buffer_info_t from;
    mp_get_buffer_raise(buffer_in, &from, MP_BUFFER_READ);
    uint32_t address = nvm_address(address_in, from.len, "program");
    if (from.len > NVM_PAGE - address % NVM_PAGE) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("nvm program 0x%x+%u: leaves its page of %u bytes"),
            (unsigned)address, (unsigned)from.len, NVM_PAGE);
    }
    uint32_t where;
    if (!nvm_program_fits(address, from.buf, from.len, &where)) {
        mp_raise_msg_varg(&mp_type_ValueError,
            MP_ERROR_TEXT("nvm program 0x%x: byte 0x%x holds 0x%02x, 0x%02x would set bits: erase first"),
            (unsigned)address, (unsigned)where, *nvm_at(where), ((const uint8_t *)from.buf)[where - address]);
    }
    nvm_program(address, from.buf, from.len);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(mps2_nvm_program_obj, nvm_program_py);

static mp_obj_t nvm_erase_py(mp_obj_t address_in) {
    uint32_t address = nvm_address(address_in, NVM_SECTOR, "erase");
    if (address % NVM_SECTOR != 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("nvm erase 0x%x: not the start of a %u byte sector"),
            (unsigned)address, NVM_SECTOR);
    }
    nvm_erase(address);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(mps2_nvm_erase_obj, nvm_erase_py);

static const mp_rom_map_elem_t nvm_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_SIZE), MP_ROM_INT(NVM_SIZE) },
    { MP_ROM_QSTR(MP_QSTR_SECTOR), MP_ROM_INT(NVM_SECTOR) },
    { MP_ROM_QSTR(MP_QSTR_PAGE), MP_ROM_INT(NVM_PAGE) },
};
static MP_DEFINE_CONST_DICT(nvm_locals, nvm_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    mps2_nvm_type,
    MP_QSTR_NVM,
    MP_TYPE_FLAG_NONE,
    locals_dict, &nvm_locals
    );
