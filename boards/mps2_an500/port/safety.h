#ifndef CELLKEEPER_SAFETY_H
#define CELLKEEPER_SAFETY_H

#include <stdint.h>

#include "py/obj.h"

extern volatile uint32_t safety_errors, safety_overruns;

void safety_start(mp_obj_t callback, uint32_t period_ms);
void safety_stop(void);
void safety_ms(void);           // from SysTick
void PendSV_Handler(void);

#endif
