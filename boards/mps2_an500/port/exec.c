// Where native code of .mpy files runs, as on an ESP32: in executable memory apart from the heap while there is some,
// then in what the heap would have grown into. ESP-IDF gives it out by heap_caps_malloc(MALLOC_CAP_EXEC): the rest of
// the IRAM first, then RAM that data can use as well. Like there, nothing is freed before a soft reset.
#include <string.h>

#include "py/objlist.h"
#include "py/persistentcode.h"
#include "py/runtime.h"

#include "exec.h"

extern uint8_t _exec_start, _exec_end;

static uint8_t *next = &_exec_start;
static size_t in_heap;

MP_REGISTER_ROOT_POINTER(mp_obj_t exec_in_heap);

void exec_init(void) {
    next = &_exec_start;
    in_heap = 0;
    MP_STATE_VM(exec_in_heap) = MP_OBJ_NULL;
}

size_t exec_used(void) {
    return (size_t)(next - &_exec_start) + in_heap;
}

size_t exec_used_heap(void) {
    return in_heap;
}

static void *of_heap(size_t size) {
    void *code = m_new(uint8_t, size);
    if (MP_STATE_VM(exec_in_heap) == MP_OBJ_NULL) {
        MP_STATE_VM(exec_in_heap) = mp_obj_new_list(0, NULL);
    }
    mp_obj_list_append(MP_STATE_VM(exec_in_heap), MP_OBJ_FROM_PTR(code));
    in_heap += size;
    return code;
}

void *exec_commit(void *code, size_t size, void *relocation) {
    size_t whole = (size + 3) & ~(size_t)3;
    void *place = next;
    if (whole <= (size_t)(&_exec_end - next)) {
        next += whole;
    } else {
        place = of_heap(whole);
    }
    if (relocation != NULL) {
        mp_native_relocate(relocation, code, (uintptr_t)place);
    }
    return memcpy(place, code, size);
}
