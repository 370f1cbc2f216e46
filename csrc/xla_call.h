/* One element-wise operation on JAX's arrays: what xla_handler.c reads and xla_run.c computes. */
#ifndef FD_XLA_CALL_H
#define FD_XLA_CALL_H

#include "fastdrop.h"

enum { FD_XLA_READS = 2, FD_XLA_WRITES = 2 };

typedef enum fd_xla_operation {
    FD_XLA_SCALE,
    FD_XLA_AFFINE,
    FD_XLA_ADD,
    FD_XLA_SELECT,
    FD_XLA_SPLIT,
    FD_XLA_MIX,
    FD_XLA_UNMIX,
    FD_XLA_NOISE_FACTOR,
    FD_XLA_NOISE_ADD,
    FD_XLA_OPERATIONS
} fd_xla_operation;

typedef struct fd_xla_facts {
    const char *name;
    int reads, writes;
    int shares;         /* whether elements may share a decision */
    uint64_t positions; /* of the stream that a decision takes */
} fd_xla_facts;

extern const fd_xla_facts fd_xla_operations[FD_XLA_OPERATIONS];

/* What all slices of a call have in common: `vmap` makes several. */
typedef struct fd_xla_call {
    fd_xla_operation op;
    fd_dtype dtype;
    size_t item; /* bytes of an element */
    int ndim;
    size_t shape[FD_MAX_DIMS], n; /* of a slice, and its elements */
    uint64_t steps[FD_MAX_DIMS];  /* decisions to the next element along an axis; 0 to share one */
    fd_plan plan;
    double numbers[3];
    size_t decisions; /* of a slice */
    uint8_t *bits;    /* room for these, where elements share them; else NULL */
} fd_xla_call;

/* Where one slice begins: its memory is contiguous, and a result may be an operand. */
typedef struct fd_xla_slice {
    fd_key key;
    const char *reads[FD_XLA_READS];
    char *writes[FD_XLA_WRITES];
} fd_xla_slice;

void fd_xla_run(const fd_xla_call *call, const fd_xla_slice *slice);

#endif
