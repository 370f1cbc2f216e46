#include "../simd/avx512_real.h"
#define FD_ISA_NAME avx512
#include "../kernels/all.h"
