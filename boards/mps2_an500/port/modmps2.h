#ifndef CELLKEEPER_MODMPS2_H
#define CELLKEEPER_MODMPS2_H

#include "py/obj.h"

extern const mp_obj_type_t mps2_uart_type;
extern const mp_obj_type_t mps2_dma_line_type;
extern const mp_obj_type_t mps2_nvm_type;
extern const mp_obj_type_t mps2_flash_type;
extern const mp_obj_fun_builtin_fixed_t mps2_nvm_read_obj;
extern const mp_obj_fun_builtin_fixed_t mps2_nvm_program_obj;
extern const mp_obj_fun_builtin_fixed_t mps2_nvm_erase_obj;

bool dma_line_chosen(void);

#endif
