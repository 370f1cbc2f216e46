#include "../simd/avx512.h"
#define FD_ISA_NAME avx512
#include "../kernels/all.h"
