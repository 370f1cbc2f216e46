#include "../simd/vec128.h"
#define FD_ISA_NAME vec128
#include "../kernels/all.h"
