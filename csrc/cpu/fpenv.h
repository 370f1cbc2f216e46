/* Kernels compute to nearest even and keep subnormals, whatever the calling thread has set
 * (PyTorch's set_flush_denormal, or a library linked with -ffast-math, leaves other modes behind).
 */
#ifndef FD_FPENV_H
#define FD_FPENV_H

#include <stdint.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned fd_fpenv;
enum { FD_MXCSR_DEFAULT = 0x1F80, FD_MXCSR_FLAGS = 0x3F };

static inline fd_fpenv fd_fpenv_enter(void) {
    unsigned old = _mm_getcsr();
    if ((old & ~(unsigned)FD_MXCSR_FLAGS) != FD_MXCSR_DEFAULT) { _mm_setcsr(FD_MXCSR_DEFAULT); }
    return old;
}

static inline void fd_fpenv_leave(fd_fpenv old) {
    if ((old & ~(unsigned)FD_MXCSR_FLAGS) != FD_MXCSR_DEFAULT) { _mm_setcsr(old); }
}
#elif defined(__aarch64__)
typedef uint64_t fd_fpenv;

static inline fd_fpenv fd_fpenv_enter(void) {
    uint64_t old, plain = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    if (old) { __asm__ volatile("msr fpcr, %0" : : "r"(plain)); }
    return old;
}

static inline void fd_fpenv_leave(fd_fpenv old) {
    if (old) { __asm__ volatile("msr fpcr, %0" : : "r"(old)); }
}
#else
/* Elsewhere C knows of the rounding mode only. */
#include <fenv.h>
typedef int fd_fpenv;

static inline fd_fpenv fd_fpenv_enter(void) {
    int old = fegetround();
    if (old != FE_TONEAREST) { fesetround(FE_TONEAREST); }
    return old;
}

static inline void fd_fpenv_leave(fd_fpenv old) {
    if (old != FE_TONEAREST) { fesetround(old); }
}
#endif

#endif
