#ifndef CELLKEEPER_EXEC_H
#define CELLKEEPER_EXEC_H

#include <stddef.h>

void exec_init(void);
void *exec_commit(void *code, size_t size, void *relocation);
size_t exec_used(void);
size_t exec_used_heap(void);

#endif
