/* The C API for code outside this library: numbers and addresses, checked and handed on. */
#include "stream.h"

static int within(size_t n, uint64_t offset) {
    return n == 0 || (uint64_t)n - 1 <= UINT64_MAX - offset;
}

static int probability(double p) { return p >= 0 && p <= 1; /* a nan is neither */ }

int fd_dropout_at(int dtype, const void *x, void *y, size_t n, double p, uint64_t seed,
                  uint64_t stream, uint64_t offset) {
    if (dtype < 0 || dtype >= FD_DTYPE_COUNT || !probability(p) || !within(n, offset)) {
        return -1;
    }
    if (n == 0) { return 0; }
    fd_key key = {seed, stream, offset};
    fd_plan plan = fd_plan_make(p);
    /* Where nothing is kept, nothing is scaled: 1 / (1 - p) is infinite. */
    double scale = p < 1 ? fd_scale_make((fd_dtype)dtype, p) : 1;
    fd_dropout((fd_dtype)dtype, x, y, n, &key, &plan, scale);
    return 0;
}

int fd_mask_bits_at(uint8_t *bits, size_t n, double p, uint64_t seed, uint64_t stream,
                    uint64_t offset) {
    if (!probability(p) || !within(n, offset)) { return -1; }
    if (n == 0) { return 0; }
    fd_key key = {seed, stream, offset};
    fd_plan plan = fd_plan_make(p);
    fd_mask_bits(bits, n, &key, &plan);
    return 0;
}

int fd_mask_bool_at(uint8_t *mask, size_t n, double p, uint64_t seed, uint64_t stream,
                    uint64_t offset) {
    if (!probability(p) || !within(n, offset)) { return -1; }
    if (n == 0) { return 0; }
    fd_key key = {seed, stream, offset};
    fd_plan plan = fd_plan_make(p);
    fd_mask_bool(mask, n, &key, &plan);
    return 0;
}

/* What lies between first and end of the block's fields; fields points to that of `first`. */
static void block_fields(int16_t *fields, const fd_block *block, unsigned first, unsigned end) {
    for (unsigned j = 0; j < FD_LANES; j++) {
        uint64_t s0 = fd_seed0(block, j), s1 = fd_seed1(block, j);
        for (unsigned e = 4 * j; e < end; e += FD_STEP) {
            uint64_t r = fd_next(&s0, &s1);
            for (unsigned q = 0; q < 4; q++) {
                if (e + q >= first && e + q < end) {
                    fields[e + q - first] = (int16_t)fd_field(r, q);
                }
            }
        }
    }
}

int fd_fields_at(int16_t *fields, size_t n, uint64_t seed, uint64_t stream, uint64_t offset) {
    static const fd_plan unused = {0, 0};
    if (!within(n, offset)) { return -1; }
    fd_key key = {seed, stream, offset};
    fd_draw draw = fd_draw_make(&key, &unused);
    while (n > 0) {
        fd_block block = fd_block_open(&draw, offset);
        unsigned first = (unsigned)(offset % FD_BLOCK), count = FD_BLOCK - first;
        if (n < count) { count = (unsigned)n; }
        block_fields(fields, &block, first, first + count);
        fields += count;
        offset += count;
        n -= count;
    }
    return 0;
}

const fd_api fd_api_table = {
    .size = sizeof(fd_api),
    .stream_version = FD_STREAM_VERSION,
    .dropout_at = fd_dropout_at,
    .mask_bits_at = fd_mask_bits_at,
    .mask_bool_at = fd_mask_bool_at,
    .fields_at = fd_fields_at,
};
