/* The mathematical functions of backends/numpy/functions.py on the arithmetic vocabulary, the same
 * operations in the same order; included once for each compute type R. They work on `count`
 * registers at once, FD_TOGETHER at most: a processor is busy where operations do not wait for each
 * other. */
#include "../coefficients.h"

#define EACH \
    FD_UNROLL \
    for (int i = 0; i < count; i++)

/* By their names in coefficients.h: a constant, the terms of a polynomial, and a polynomial of
 * `count` registers x; or of unit * x, times the unit, which is 1 or -1 or -1/2: only the
 * coefficients change, and as products by a power of 2 are exact, the result has the same bits. */
#define CONSTANT(name) V(set)(FD_CAT(FD_##name, FD_F))
#define COEFFICIENTS(name) FD_CAT(fd_##name, FD_f)
#define TERMS(name) (int)(sizeof COEFFICIENTS(name) / sizeof *COEFFICIENTS(name))
#define POLYNOMIALS(name, unit, x, y, count) \
    V(polynomials)(COEFFICIENTS(name), TERMS(name), unit, x, y, count)

/* A step of Horner's rule: y * x + c, and for a polynomial beside it, unless NULL, z * t + d. */
FD_INLINE void V(horner)(VR *y, const VR *x, double c, VR *z, const VR *t, double d, int count) {
    EACH { y[i] = V(mul)(y[i], x[i]); }
    if (z) {
        EACH { z[i] = V(mul)(z[i], t[i]); }
    }
    EACH { y[i] = V(add)(y[i], V(set)(c)); }
    if (z) {
        EACH { z[i] = V(add)(z[i], V(set)(d)); }
        EACH { FD_IN_STEP(z[i]); }
    }
    EACH { FD_IN_STEP(y[i]); }
}

/* The lowest coefficient is the first. */
FD_INLINE void V(polynomials)(const FD_NUMBER *coefficients, int terms, double unit, const VR *x,
                              VR *y, int count) {
    double factor = unit;
    FD_UNROLL
    for (int j = 1; j < terms; j++) { factor *= unit; }
    EACH { y[i] = V(set)(coefficients[terms - 1] * factor); }
    FD_UNROLL
    for (int j = terms - 2; j >= 0; j--) {
        factor /= unit;
        V(horner)(y, x, coefficients[j] * factor, NULL, NULL, 0, count);
    }
}

#include "sums.h"

#include "exp.h"

#include "activations.h"

#undef EACH
#undef CONSTANT
#undef COEFFICIENTS
#undef TERMS
#undef POLYNOMIALS
