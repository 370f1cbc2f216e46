/* All kernels of a vector instruction set for one dtype. */
#include "dropout.h"
#include "family.h"
