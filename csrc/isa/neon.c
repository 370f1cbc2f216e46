#include "../simd/neon_real.h"
#define FD_ISA_NAME neon
#include "../kernels/all.h"
