#ifndef CELLKEEPER_NVM_H
#define CELLKEEPER_NVM_H

#include <stdbool.h>
#include <stdint.h>

#define NVM_SIZE (0x100000u)
#define NVM_SECTOR (4096u)
#define NVM_PAGE (256u)
#define NVM_ERASE_US (40000u)
#define NVM_PAGE_US (700u)

// The rest of the PSRAM window: the file system's flash and a page written once, by whoever starts the emulator.
#define FLASH_OFFSET (0x800000u)
#define FLASH_SIZE (0x200000u)
#define FACTORY_OFFSET (0xA00000u)

typedef struct {
    uint8_t unique_id[8];       // all 0x00 or all 0xFF: none given
    uint8_t start[4];           // "REPL": start neither boot nor main
    uint8_t clock[4];           // "STEP": a rig leads the clock (mps2.lockstep() is True)
    uint8_t line[4];            // "DMA1": the AFE link's bytes lie in memory (mps2.dma_line() is True)
} factory_t;

static inline uint8_t *nvm_at(uint32_t address) {
    return (uint8_t *)(0x60000000u + address);
}

const factory_t *nvm_factory(void);
void nvm_init(void);
void nvm_erase(uint32_t address);
bool nvm_program_fits(uint32_t address, const uint8_t *from, uint32_t length, uint32_t *where);
void nvm_program(uint32_t address, const uint8_t *from, uint32_t length);

#endif
