/* All kernel bodies, on the vocabulary included before, and the table of them. FD_ISA_NAME is the
 * name of the instruction set. */
#include "lanes.h"
#include "draw.h"
#include "real.h"
#include "rows.h"

#define FD_BODIES "functions.h"
#include "formats.h"
#undef FD_BODIES

#include "normal.h"

#define FD_BODIES "vector.h"
#include "dtypes.h"

#include "mask.h"
#include "fields.h"
#include "spread.h"

#define FD_STRING_(s) #s
#define FD_STRING(s) FD_STRING_(s)
extern const fd_table FD_CAT(fd_table, FD_ISA_NAME);
const fd_table FD_CAT(fd_table, FD_ISA_NAME) = {
    .name = FD_STRING(FD_ISA_NAME),
#define FD_KERNEL FD_KERNEL_ENTRY
#define FD_COMPUTING_KERNEL FD_KERNEL_ENTRY
#define FD_PRODUCT_KERNEL FD_KERNEL_ENTRY
#define FD_NORM_KERNEL FD_KERNEL_ENTRY
#define FD_MASK_KERNEL FD_MASK_KERNEL_ENTRY
#include "../ops.def"
};
