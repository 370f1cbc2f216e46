/* The order that sums have, and so the same bits, in all instruction sets; included once for each
 * compute type R. Of each 64 numbers, place j = 0..15 takes (e[j] + e[j + 16]) + (e[j + 32] +
 * e[j + 48]), and after a run of them (4096 of a softmax, 256 squares) the places are added by
 * halves, and that to the rest in binary64. What the last 64 lack is +0.0. */

/* The registers that hold 16 places. */
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
