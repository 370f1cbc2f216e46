/* The mathematical functions of backends/numpy/functions.py on the arithmetic vocabulary, the same
 * operations in the same order; included once for each compute type R. */
#include "../coefficients.h"

/* A constant, and a polynomial of x, by their names in coefficients.h. */
#define CONSTANT(name) V(set)(FD_CAT(FD_##name, FD_F))
#define POLYNOMIAL(name, x) \
    V(polynomial)(FD_CAT(fd_##name, FD_f), \
                  sizeof FD_CAT(fd_##name, FD_f) / sizeof *FD_CAT(fd_##name, FD_f), x)

/* By Horner's rule; the lowest coefficient is the first. */
FD_INLINE VR V(polynomial)(const FD_NUMBER *coefficients, int count, VR x) {
    VR y = V(set)(coefficients[count - 1]);
    FD_UNROLL
    for (int i = count - 2; i >= 0; i--) { y = V(add)(V(mul)(y, x), V(set)(coefficients[i])); }
    return y;
}

#include "sums.h"

#include "exp.h"

#include "activations.h"

#undef CONSTANT
#undef POLYNOMIAL
