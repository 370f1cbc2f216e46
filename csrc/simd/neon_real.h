/* Arithmetic vocabulary of NEON: the vector extensions compile to it, binary16 is the hardware's.
 */
#include "neon.h"

#include "vec128_real.h"
