/* Instruction sets: which were built, which this CPU runs, which one is active. */
#include "dispatch.h"

#include "run/shared.h"

/* The build says for each set whether it is in, and why not. */
#define FD_ABSENT "left out of this build"
#ifndef FD_BUILD_avx512
#define FD_BUILD_avx512 0
#endif
#ifndef FD_BUILD_avx2
#define FD_BUILD_avx2 0
#endif
#ifndef FD_BUILD_neon
#define FD_BUILD_neon 0
#endif
#ifndef FD_BUILD_vec128
#define FD_BUILD_vec128 0
#endif
#define FD_BUILD_scalar 1
#ifndef FD_BUILD_NOTE_avx512
#define FD_BUILD_NOTE_avx512 FD_ABSENT
#endif
#ifndef FD_BUILD_NOTE_avx2
#define FD_BUILD_NOTE_avx2 FD_ABSENT
#endif
#ifndef FD_BUILD_NOTE_neon
#define FD_BUILD_NOTE_neon FD_ABSENT
#endif
#ifndef FD_BUILD_NOTE_vec128
#define FD_BUILD_NOTE_vec128 FD_ABSENT
#endif
#define FD_BUILD_NOTE_scalar FD_ABSENT

#define FD_ISA(isa) extern const fd_table fd_table_##isa;
#include "isa.def"
#undef FD_ISA

#define FD_BUILT_0(isa) NULL
#define FD_BUILT_1(isa) &fd_table_##isa
#define FD_BUILT_(built, isa) FD_BUILT_##built(isa)
#define FD_BUILT(built, isa) FD_BUILT_(built, isa)

static const struct {
    const char *name, *note;
    const fd_table *table;
} sets[] = {
#define FD_ISA(isa) {#isa, FD_BUILD_NOTE_##isa, FD_BUILT(FD_BUILD_##isa, isa)},
#include "isa.def"
#undef FD_ISA
};

enum { COUNT = sizeof sets / sizeof *sets };

static FD_SHARED(int) active_index = -1;

int fd_isa_count(void) { return COUNT; }

const char *fd_isa_name(int index) { return sets[index].name; }

const char *fd_isa_reason(int index) {
    return sets[index].table ? fd_cpu_lacks(sets[index].name) : sets[index].note;
}

const fd_table *fd_table_at(int index) { return fd_isa_reason(index) ? NULL : sets[index].table; }

int fd_isa_select(int index) {
    if (index < 0 || index >= COUNT || !fd_table_at(index)) { return -1; }
    active_index = index;
    return 0;
}

int fd_isa_active(void) {
    /* Several threads may come here at first: they all find the same set. */
    for (int i = 0; active_index < 0; i++) { fd_isa_select(i); }
    return active_index;
}

const fd_table *fd_active_table(void) { return sets[fd_isa_active()].table; }
