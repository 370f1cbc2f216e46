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
#include "fields.h"

#define FD_BODIES "vector.h"
#include "dtypes.h"

#include "mask.h"
#include "spread.h"

#include "table.h"
