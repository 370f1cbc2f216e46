/* Includes FD_BODIES once for each compute type: R is its name, FD_NUMBER C's, f and F the
 * suffixes of its constants, FD_EXPONENT the position of its exponent, FD_UPPER_HALF the mask of a
 * significand short enough for an exact square, FD_MAGNITUDE that of all but the sign,
 * FD_NORMAL_EXP the least x with a normal exp(x). Below FD_USUAL_TAIL, exp(-x * x / 2) is normal,
 * and so are the tanh form's numbers where x * x is below FD_USUAL_SQUARE. */
#define R r32
#define FD_NUMBER float
#define FD_f f32
#define FD_F F32
#define FD_EXPONENT 23
#define FD_UPPER_HALF 0xFFFFF000
#define FD_MAGNITUDE 0x7FFFFFFF
#define FD_NORMAL_EXP -87
#define FD_USUAL_TAIL 13
#define FD_USUAL_SQUARE 99
#include FD_BODIES
#undef R
#undef FD_NUMBER
#undef FD_f
#undef FD_F
#undef FD_EXPONENT
#undef FD_UPPER_HALF
#undef FD_MAGNITUDE
#undef FD_NORMAL_EXP
#undef FD_USUAL_TAIL
#undef FD_USUAL_SQUARE

#define R r64
#define FD_NUMBER double
#define FD_f f64
#define FD_F F64
#define FD_EXPONENT 52
#define FD_UPPER_HALF UINT64_C(0xFFFFFFFFF8000000)
#define FD_MAGNITUDE UINT64_C(0x7FFFFFFFFFFFFFFF)
#define FD_NORMAL_EXP -708
#define FD_USUAL_TAIL 37
#define FD_USUAL_SQUARE 440
#include FD_BODIES
#undef R
#undef FD_NUMBER
#undef FD_f
#undef FD_F
#undef FD_EXPONENT
#undef FD_UPPER_HALF
#undef FD_MAGNITUDE
#undef FD_NORMAL_EXP
#undef FD_USUAL_TAIL
#undef FD_USUAL_SQUARE
