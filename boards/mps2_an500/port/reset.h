#ifndef CELLKEEPER_RESET_H
#define CELLKEEPER_RESET_H

enum { RESET_CAUSE_POWER_ON = 1, RESET_CAUSE_HARD = 2, RESET_CAUSE_WATCHDOG = 3, RESET_CAUSE_SOFT = 5 };

void reset_init(void);
int reset_cause(void);
void reset_note_soft(void);
void reset_system(int cause) __attribute__((noreturn));

#endif
