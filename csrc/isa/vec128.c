#include "../simd/vec128_real.h"
#define FD_ISA_NAME vec128
#include "../kernels/all.h"
