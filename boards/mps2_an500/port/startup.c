// Reset, the vector table and faults. Nothing here may need the FPU or initialised data before Reset_Handler made them.
#include "an500.h"
#include "reset.h"
#include "safety.h"
#include "systick.h"
#include "uart.h"
#include "watchdog.h"

extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss;
extern int main(void);
void Reset_Handler(void);

volatile uint32_t an500_work;

__attribute__((used)) static void start_c(void) {
    uint32_t *from = &_sidata;
    for (uint32_t *to = &_sdata; to < &_edata;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_sbss; to < &_ebss;) {
        *to++ = 0;
    }
    main();
    reset_system(RESET_CAUSE_HARD);
}

__attribute__((naked)) void Reset_Handler(void) {
    // The FPU must be on before any C runs: the compiler may use its registers anywhere (CPACR: CP10, CP11 full).
    __asm volatile (
        "cpsid i\n"
        "ldr r0, =_estack\n"
        "mov sp, r0\n"
        "ldr r0, =0xE000ED88\n"
        "ldr r1, [r0]\n"
        "orr r1, r1, #0xF00000\n"
        "str r1, [r0]\n"
        "dsb\n"
        "isb\n"
        "cpsie i\n"
        "b start_c\n");
}

// The stacked frame of what was interrupted: r0-r3, r12, lr, pc, psr.
void fault_report(const char *name, const uint32_t *frame) {
    uart_console_puts_hex("\r\n", 0, false);
    uart_console_puts_hex(name, frame[6], true);
    uart_console_puts_hex(" lr=", frame[5], true);
    uart_console_puts_hex(" cfsr=", SCB->CFSR, true);
    uart_console_puts_hex("\r\n", 0, false);
}

__attribute__((used)) static void fault_c(const uint32_t *frame) {
    // A BMS that does not know where it is must fall back to open contactors: reset, whatever the fault was.
    fault_report("fault: pc=", frame);
    reset_system(RESET_CAUSE_HARD);
}

__attribute__((used)) static void nmi_c(const uint32_t *frame) {
    fault_report("watchdog: pc=", frame);
    reset_system(RESET_CAUSE_WATCHDOG);
}

__attribute__((naked)) static void Fault_Handler(void) {
    __asm volatile ("mov r0, sp\n b fault_c\n");
}

__attribute__((naked)) static void NMI_Handler(void) {
    __asm volatile ("mov r0, sp\n b nmi_c\n");
}

typedef void (*vector_t)(void);

__attribute__((section(".isr_vector"), used)) static const vector_t isr_vector[16 + 6] = {
    (vector_t)&_estack,
    Reset_Handler,
    NMI_Handler,
    Fault_Handler, // hard
    Fault_Handler, // memory management
    Fault_Handler, // bus
    Fault_Handler, // usage
    0, 0, 0, 0,
    Fault_Handler, // SVC
    Fault_Handler, // debug monitor
    0,
    PendSV_Handler,
    SysTick_Handler,
    UART0_RX_Handler, Fault_Handler,
    UART1_RX_Handler, Fault_Handler,
    UART2_RX_Handler, Fault_Handler,
};
