/* Every body, on the vocabulary included before; then the table. FD_ISA_NAME is the set's name. */
#include "lanes.h"

#define D f32
#define FD_SIZE 4
#include "dropout.h"

#define D f64
#define FD_SIZE 8
#include "dropout.h"

#define D f16
#define FD_SIZE 2
#include "dropout.h"

#define D bf16
#define FD_SIZE 2
#include "dropout.h"

#include "mask.h"

#define FD_STRING_(s) #s
#define FD_STRING(s) FD_STRING_(s)
extern const fd_table FD_CAT(fd_table, FD_ISA_NAME);
const fd_table FD_CAT(fd_table, FD_ISA_NAME) = {
    .name = FD_STRING(FD_ISA_NAME),
#define FD_KERNEL FD_KERNEL_ENTRY
#define FD_MASK_KERNEL FD_MASK_KERNEL_ENTRY
#include "../ops.def"
};
