#include "../simd/avx2.h"
#define FD_ISA_NAME avx2
#include "../kernels/all.h"
