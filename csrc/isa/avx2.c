#include "../simd/avx2_real.h"
#define FD_ISA_NAME avx2
#include "../kernels/all.h"
