/* The mathematical functions of backends/numpy/functions.py on the arithmetic vocabulary, the same
 * operations in the same order; included once for each compute type R. */
#include "../coefficients.h"

/* By their names in coefficients.h: a constant, a polynomial of x, and of `count` registers x. */
#define CONSTANT(name) V(set)(FD_CAT(FD_##name, FD_F))
#define POLYNOMIAL(name, x) \
    V(polynomial)(FD_CAT(fd_##name, FD_f), \
                  sizeof FD_CAT(fd_##name, FD_f) / sizeof *FD_CAT(fd_##name, FD_f), x)
#define POLYNOMIALS(name, x, y, count) \
    V(polynomials)(FD_CAT(fd_##name, FD_f), \
                   sizeof FD_CAT(fd_##name, FD_f) / sizeof *FD_CAT(fd_##name, FD_f), x, y, count)

/* By Horner's rule; the lowest coefficient is the first. */
FD_INLINE void V(polynomials)(const FD_NUMBER *coefficients, int terms, const VR *x, VR *y,
                              int count) {
    FD_UNROLL
    for (int j = 0; j < count; j++) { y[j] = V(set)(coefficients[terms - 1]); }
    FD_UNROLL
    for (int i = terms - 2; i >= 0; i--) {
        FD_UNROLL
        for (int j = 0; j < count; j++) {
            y[j] = V(add)(V(mul)(y[j], x[j]), V(set)(coefficients[i]));
        }
    }
}

FD_INLINE VR V(polynomial)(const FD_NUMBER *coefficients, int terms, VR x) {
    VR y;
    V(polynomials)(coefficients, terms, &x, &y, 1);
    return y;
}

#include "sums.h"

#include "exp.h"

#include "activations.h"

#undef CONSTANT
#undef POLYNOMIAL
#undef POLYNOMIALS
