#include "../simd/neon.h"
#define FD_ISA_NAME neon
#include "../kernels/all.h"
