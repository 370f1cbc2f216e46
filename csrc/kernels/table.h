/* The table of an instruction set, of which FD_ISA_NAME is the name: each isa/<isa>.c ends with it,
 * and an entry that has no body does not compile. */
#define FD_STRING_(s) #s
#define FD_STRING(s) FD_STRING_(s)
extern const fd_table FD_CAT(fd_table, FD_ISA_NAME);
const fd_table FD_CAT(fd_table, FD_ISA_NAME) = {
    .name = FD_STRING(FD_ISA_NAME),
    .streams = FD_HAS_STREAM,
#define FD_OPERATION(op, reads, writes) .compute[FD_OP_##op] = FD_EACH_DTYPE(op),
#define FD_KERNEL(op) .op = FD_EACH_DTYPE(op),
#define FD_SOFTMAX_KERNEL FD_KERNEL
#define FD_PRODUCT_KERNEL FD_KERNEL
#define FD_NORM_KERNEL FD_KERNEL
#define FD_MASK_KERNEL(op) .op = op,
#include "../ops.def"
};
