/* The oracle: one element at a time, straight from stream.h, on any target. It shares no drawing
 * code with the vector bodies, so that a comparison with it is a real test. */
/* A register holds one number here: unrolling the loops over registers would give a megabyte. */
#if !defined(FD_ROLLED)
#define FD_ROLLED
#endif
#include "../kernels/real.h"
#include "../simd/scalar_real.h"

/* Clears by an AND: `keep ? v : 0` becomes a branch that is mispredicted half of the time. */
static void put_f32(char *y, const char *x, uint32_t keep, double scale) {
    float v;
    memcpy(&v, x, 4);
    uint32_t bits = fd_bits_of_float(v * (float)scale) & (0 - keep);
    memcpy(y, &bits, 4);
}

static void put_f64(char *y, const char *x, uint32_t keep, double scale) {
    double v;
    uint64_t bits;
    memcpy(&v, x, 8);
    v *= scale;
    memcpy(&bits, &v, 8);
    bits &= 0 - (uint64_t)keep;
    memcpy(y, &bits, 8);
}

static void put_f16(char *y, const char *x, uint32_t keep, double scale) {
    uint16_t h;
    memcpy(&h, x, 2);
    h = (uint16_t)(fd_f32_to_f16(fd_f16_to_f32(h) * (float)scale) & (0 - keep));
    memcpy(y, &h, 2);
}

static void put_bf16(char *y, const char *x, uint32_t keep, double scale) {
    uint16_t h;
    memcpy(&h, x, 2);
    h = (uint16_t)(fd_product_to_bf16(fd_bf16_to_f32(h) * (float)scale) & (0 - keep));
    memcpy(y, &h, 2);
}

typedef void put_fn(char *y, const char *x, uint32_t keep, double scale);

/* Call back for each of n elements with its keep bit, in order of position. */
FD_INLINE void draw(const char *x, char *y, size_t n, size_t size, const fd_draw *d, double scale,
                    put_fn *put) {
    uint64_t s0[FD_LANES], s1[FD_LANES], position = d->position;
    for (size_t i = 0; i < n;) {
        fd_block block = fd_block_open(d, position);
        for (unsigned j = 0; j < FD_LANES; j++) {
            s0[j] = fd_seed0(&block, j);
            s1[j] = fd_seed1(&block, j);
        }
        unsigned first = position % FD_BLOCK, e = 0;
        for (; e < FD_BLOCK && i < n; e += 4) {
            uint64_t r = fd_next(&s0[e / 4 % FD_LANES], &s1[e / 4 % FD_LANES]);
            for (unsigned q = 0; q < 4 && i < n; q++) {
                if (e + q < first) { continue; }
                put(y + i * size, x + i * size, fd_field(r, q) >= block.threshold, scale);
                i++;
            }
        }
        position += FD_BLOCK - first;
    }
}

FD_INLINE void apply(const char *x, char *y, size_t n, size_t size, const uint8_t *bits,
                     size_t bit0, double scale, put_fn *put) {
    for (size_t i = 0; i < n; i++) {
        size_t bit = bit0 + i;
        put(y + i * size, x + i * size, bits[bit >> 3] >> (bit & 7) & 1, scale);
    }
}

FD_INLINE void apply_to_rows(const char *x, char *y, size_t n, size_t size, const fd_rows *rows,
                             size_t first, double scale, put_fn *put) {
    for (size_t i = 0; i < n; i++) {
        size_t bit = (first + i) / rows->run;
        put(y + i * size, x + i * size, rows->bits[bit >> 3] >> (bit & 7) & 1, scale);
    }
}

/* C has no portable non-temporal store: the streaming kernels are the plain ones. */
#define FD_SCALAR(dtype, size) \
    static void dropout_##dtype(const void *x, void *y, size_t n, const fd_draw *d, \
                                double scale) { \
        draw(x, y, n, size, d, scale, put_##dtype); \
    } \
    static void apply_bits_##dtype(const void *x, void *y, size_t n, const uint8_t *bits, \
                                   size_t bit0, double scale) { \
        apply(x, y, n, size, bits, bit0, scale, put_##dtype); \
    } \
    static void apply_strips_##dtype(const void *x, void *y, size_t n, const fd_strips *strips, \
                                     double scale) { \
        for (size_t i = 0; i < strips->count; i++) { \
            ptrdiff_t to_x = (ptrdiff_t)i * strips->x_step, to_y = (ptrdiff_t)i * strips->y_step; \
            apply((const char *)x + to_x, (char *)y + to_y, n, size, strips->bits, \
                  strips->bit + i * strips->bit_step, scale, put_##dtype); \
        } \
    } \
    static void apply_rows_##dtype(const void *x, void *y, size_t n, const fd_rows *rows, \
                                   size_t first, double scale) { \
        apply_to_rows(x, y, n, size, rows, first, scale, put_##dtype); \
    }

FD_SCALAR(f32, 4)
FD_SCALAR(f64, 8)
FD_SCALAR(f16, 2)
FD_SCALAR(bf16, 2)

#define dropout_stream_f32 dropout_f32
#define dropout_stream_f64 dropout_f64
#define dropout_stream_f16 dropout_f16
#define dropout_stream_bf16 dropout_bf16
#define apply_bits_stream_f32 apply_bits_f32
#define apply_bits_stream_f64 apply_bits_f64
#define apply_bits_stream_f16 apply_bits_f16
#define apply_bits_stream_bf16 apply_bits_bf16
#define apply_rows_stream_f32 apply_rows_f32
#define apply_rows_stream_f64 apply_rows_f64
#define apply_rows_stream_f16 apply_rows_f16
#define apply_rows_stream_bf16 apply_rows_bf16

static void put_bool(char *y, const char *x, uint32_t keep, double scale) {
    (void)x;
    (void)scale;
    *y = (char)keep;
}

static void pack_bool(const uint8_t *mask, uint8_t *bits, size_t n) {
    memset(bits, 0, (n + 7) / 8);
    for (size_t i = 0; i < n; i++) { bits[i >> 3] |= (uint8_t)((mask[i] != 0) << (i & 7)); }
}

static void unpack_bool(const uint8_t *bits, uint8_t *mask, size_t n) {
    for (size_t i = 0; i < n; i++) { mask[i] = bits[i >> 3] >> (i & 7) & 1; }
}

/* From the last byte down, so that no byte is read after it was written. */
static void spread_bits(uint8_t *bits, size_t n, size_t distance) {
    for (size_t bit = 8 * n; bit-- > distance;) {
        size_t from = bit - distance;
        bits[bit >> 3] |= (uint8_t)((bits[from >> 3] >> (from & 7) & 1) << (bit & 7));
    }
}

static size_t invert_bits(uint8_t *bits, size_t n) {
    size_t set = 0;
    for (size_t i = 0; i < n; i++) {
        bits[i >> 3] ^= (uint8_t)(1 << (i & 7));
        set += bits[i >> 3] >> (i & 7) & 1;
    }
    if (n & 7) { bits[n >> 3] &= (uint8_t)((1 << (n & 7)) - 1); }
    return set;
}

static void mask_bits(uint8_t *bits, size_t n, const fd_draw *d) {
    fd_draw at = *d;
    for (size_t m; n; n -= m, bits += (m + 7) / 8) {
        char mask[512];
        m = n < sizeof mask ? n : sizeof mask;
        draw(mask, mask, m, 1, &at, 1.0, put_bool);
        pack_bool((const uint8_t *)mask, bits, m);
        at.position += m;
    }
}

static void fields(uint16_t *out, size_t n, const fd_draw *d) {
    for (uint64_t position = d->position; n;) {
        unsigned first = position % FD_BLOCK;
        size_t m = FD_BLOCK - first < n ? FD_BLOCK - first : n;
        fd_block block = fd_block_open(d, position);
        for (unsigned j = 0; j < FD_LANES; j++) {
            uint64_t s0 = fd_seed0(&block, j), s1 = fd_seed1(&block, j);
            for (unsigned e = 4 * j; e < first + m; e += FD_STEP) {
                uint64_t r = fd_next(&s0, &s1);
                for (unsigned q = 0; q < 4; q++) {
                    if (e + q >= first && e + q < first + m) {
                        out[e + q - first] = (uint16_t)fd_field(r, q);
                    }
                }
            }
        }
        position += m;
        out += m;
        n -= m;
    }
}

/* The keep bits of a block, packed in memory. */
static void draw_block(uint64_t words[FD_STEPS], const fd_block *block) {
    memset(words, 0, FD_STEPS * sizeof *words);
    for (unsigned j = 0; j < FD_LANES; j++) {
        uint64_t s0 = fd_seed0(block, j), s1 = fd_seed1(block, j);
        for (unsigned t = 0; t < FD_STEPS; t++) {
            uint64_t r = fd_next(&s0, &s1);
            for (unsigned q = 0; q < 4; q++) {
                words[t] |= (uint64_t)(fd_field(r, q) >= block->threshold) << (4 * j + q);
            }
        }
    }
    for (unsigned t = 0; t < FD_STEPS; t++) { words[t] = fd_swap_if_big(words[t]); }
}

/* Arithmetic kernels are the shared bodies on the scalar vocabulary; their oracle is the NumPy
 * backend. */
#define FD_BODIES "functions.h"
#include "../kernels/formats.h"
#undef FD_BODIES

#include "../kernels/normal.h"

#define FD_HAS_STREAM 0
FD_INLINE void fd_stream_end(void) {}

#define FD_BODIES "family.h"
#include "../kernels/dtypes.h"

#define FD_ISA_NAME scalar
#include "../kernels/table.h"
