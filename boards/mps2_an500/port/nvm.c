// NOR flash over the PSRAM window. The emulator backs the window with a file, so killing it is a power cut; the stores
// are spread over the time the real part takes, so that the cut lands inside an erase or a page as it would there.
#include <string.h>

#include "an500.h"
#include "nvm.h"
#include "systick.h"

const factory_t *nvm_factory(void) {
    return (const factory_t *)(PSRAM_BASE + FACTORY_OFFSET);
}

// A window that holds nothing but zeros is a new file (or Renode's RAM): leave it as the factory leaves a NOR part.
void nvm_init(void) {
    uint32_t *word = (uint32_t *)PSRAM_BASE;
    for (uint32_t i = 0; i < NVM_SIZE / 4; i++) {
        if (word[i] != 0) {
            return;
        }
    }
    memset(word, 0xff, NVM_SIZE);
}

typedef void (*store_t)(uint32_t address, const uint8_t *from, uint32_t begin, uint32_t end);

// Stores [0, length) at the pace of `us` microseconds for all of it. Interrupts stay enabled throughout.
static void spread(store_t store, uint32_t address, const uint8_t *from, uint32_t length, uint32_t us) {
    uint32_t start = systick_counts();
    uint32_t total = us * SYSTICK_PER_US;
    uint32_t done = 0;
    for (;;) {
        uint32_t gone = systick_counts() - start;
        uint32_t goal = gone >= total ? length : (uint32_t)((uint64_t)length * gone / total) & ~3u;
        if (goal > done) {
            store(address, from, done, goal);
            done = goal;
        }
        if (gone >= total) {
            return;
        }
        if (total - gone > SYSTICK_PER_MS) {
            __WFI(); // SysTick ends it within a millisecond
        }
    }
}

static void store_erased(uint32_t address, const uint8_t *from, uint32_t begin, uint32_t end) {
    (void)from;
    memset(nvm_at(address + begin), 0xff, end - begin);
}

static void store_bytes(uint32_t address, const uint8_t *from, uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i < end; i++) {
        *nvm_at(address + i) = from[i];
    }
}

void nvm_erase(uint32_t address) {
    spread(store_erased, address, NULL, NVM_SECTOR, NVM_ERASE_US);
}

bool nvm_program_fits(uint32_t address, const uint8_t *from, uint32_t length, uint32_t *where) {
    for (uint32_t i = 0; i < length; i++) {
        if (from[i] & ~*nvm_at(address + i)) {
            *where = address + i;
            return false;
        }
    }
    return true;
}

void nvm_program(uint32_t address, const uint8_t *from, uint32_t length) {
    spread(store_bytes, address, from, length, NVM_PAGE_US);
}
