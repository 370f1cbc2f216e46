/* One order of summation for all instruction sets, hence the same bits; included once for each
 * compute type R. Partial sum j = 0..15 takes (e[j] + e[j + 16]) + (e[j + 32] + e[j + 48]) of each
 * 64 numbers. After a run (4096 numbers of a softmax, 256 squares) the partial sums are added by
 * halves, and the result to a total in binary64. The last 64 are padded with +0.0. */

/* The registers that hold 16 partial sums. */
#define PLACES (16 / VN)

FD_INLINE VR V(four)(const VR *e) { return V(add)(V(add)(e[0], e[1]), V(add)(e[2], e[3])); }

FD_INLINE double V(total)(VR *places) {
    FD_UNROLL
    for (int half = PLACES / 2; half; half /= 2) {
        FD_UNROLL
        for (int i = 0; i < half; i++) { places[i] = V(add)(places[i], places[i + half]); }
    }
    return V(sum)(places[0]);
}

#undef PLACES
