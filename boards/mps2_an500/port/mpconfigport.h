// MicroPython as the firmware's other boards have it (ESP32 class), plus what trying it out needs.
#include <stdint.h>
#include <alloca.h>

#include "exec.h"

#define MICROPY_CONFIG_ROM_LEVEL                (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#define MICROPY_HW_BOARD_NAME                   "QEMU MPS2-AN500"
#define MICROPY_HW_MCU_NAME                     "Cortex-M7"
#define MICROPY_PY_SYS_PLATFORM                 "mps2_an500"

// Code: compiled here, frozen, or .mpy files with native code for this core.
#define MICROPY_EMIT_THUMB                      (1)
#define MICROPY_EMIT_INLINE_THUMB               (1)
#define MICROPY_MAKE_POINTER_CALLABLE(p)        ((void *)((mp_uint_t)(p) | 1))
#define MP_PLAT_COMMIT_EXEC(code, size, relocation) exec_commit(code, size, relocation)
#define MICROPY_PERSISTENT_CODE_LOAD            (1)
#define MICROPY_ENABLE_SOURCE_LINE              (1)

// Memory.
#define MICROPY_ENABLE_GC                       (1)
#define MICROPY_MEM_STATS                       (0)
#define MICROPY_STACK_CHECK                     (1)
#define MICROPY_PY_MICROPYTHON_MEM_INFO         (1)
#define MICROPY_PY_MICROPYTHON_HEAP_LOCKED      (1)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF  (1)
#define MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE    (0) // allocated at every start (main.c), so the firmware may resize it
#define AN500_MAIN_STACK                        (40 * 1024)
#define AN500_TICK_STACK                        (20 * 1024) // what the hard tick may use beyond that, of 64 KiB

// Numbers.
#define MICROPY_LONGINT_IMPL                    (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL                      (MICROPY_FLOAT_IMPL_FLOAT)

// Files.
#define MICROPY_READER_VFS                      (1)
#define MICROPY_VFS                             (1)
#define MICROPY_VFS_ROM                         (0)
#define MICROPY_PY_OS_UNAME                     (1)
#define MICROPY_PY_OS_STATVFS                   (1)

// Modules beyond the feature level, and those nothing here can use.
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS            (1)
#define MICROPY_PY_TIME_INCLUDEFILE             "time_port.c"
#define MICROPY_PY_MACHINE                      (1)
#define MICROPY_PY_MACHINE_INCLUDEFILE          "machine_port.c"
#define MICROPY_PY_MACHINE_RESET                (1)
#define MICROPY_PY_MACHINE_DISABLE_IRQ_ENABLE_IRQ (1)
#define MICROPY_PY_HASHLIB_SHA256               (1)
#define MICROPY_PY_DEFLATE                      (0)
#define MICROPY_PY_FRAMEBUF                     (0)
#define MICROPY_PY_CMATH                        (0)

// Console.
#define MICROPY_KBD_EXCEPTION                   (1)
#define MICROPY_REPL_EVENT_DRIVEN               (0)
#define MICROPY_ENABLE_SCHEDULER                (1)
#define MICROPY_SCHEDULER_DEPTH                 (8)

#define MICROPY_BEGIN_ATOMIC_SECTION()          an500_atomic_begin()
#define MICROPY_END_ATOMIC_SECTION(state)       an500_atomic_end(state)

static inline uint32_t an500_atomic_begin(void) {
    uint32_t state;
    __asm volatile ("mrs %0, primask\n cpsid i" : "=r" (state) :: "memory");
    return state;
}

static inline void an500_atomic_end(uint32_t state) {
    __asm volatile ("msr primask, %0" :: "r" (state) : "memory");
}

#define MP_SSIZE_MAX (0x7fffffff)
#define UINT_FMT "%lu"
#define INT_FMT "%ld"
typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;

#define MP_NEED_LOG2 (1)
#define MP_STATE_PORT MP_STATE_VM
