/* Shared decisions: the small mask of an operation, spread over all elements. */
#include "bits.h"
#include "layout.h"

/* Shorter segments cost more to find, or their rows more to repeat, than to spread. */
enum { LEAST_SEGMENT = 512, LEAST_REPEATED = 4096 };

void fd_rows_make_words(fd_rows *rows) {
    if (rows->run >= 64) { return; }
    unsigned run = (unsigned)rows->run;
    rows->times = run <= 8 ? 8 : 64 / run;
    rows->words[0] = 0;
    for (unsigned row = 0; row < rows->times; row++) {
        uint64_t one = fd_low_bits(~UINT64_C(0), run) << row * run;
        for (unsigned i = 0; i < 1U << row; i++) {
            rows->words[i + (1U << row)] = rows->words[i] | one;
        }
    }
}

void fd_broadcast_init(fd_broadcast *b, const fd_layout *layout, const uint8_t *bits) {
    int last = layout->ndim - 1;
    ptrdiff_t along = layout->mask_strides[last], down = last ? layout->mask_strides[last - 1] : 1;
    b->layout = layout;
    b->rows.bits = bits;
    b->rows.end = bits + fd_mask_bytes(layout);
    b->rows.run = layout->shape[last];
    if (along == 0) { fd_rows_make_words(&b->rows); }
    b->repeat = 1;
    for (size_t bit = b->rows.run; bit + b->rows.run <= 64; bit += b->rows.run) {
        b->repeat |= UINT64_C(1) << bit;
    }
    size_t segment = layout->shape[last] * (last ? layout->shape[last - 1] : 1);
    size_t least = along ? LEAST_REPEATED : LEAST_SEGMENT;
    b->segment = along + down == 1 && (last < 2 || segment >= least) ? segment : 0;
}

/* Up to 64 bits from `bit` on, the rest zero. */
static uint64_t some_bits(const fd_broadcast *b, size_t bit, unsigned count) {
    return fd_low_bits(fd_bits_before(b->rows.bits, b->rows.end, bit, count), count);
}

/* The writers below go by value: behind a pointer, each store of a byte might change them, and they
 * would be loaded again for every word. */
FD_INLINE fd_bit_writer put_row(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t n,
                                int shared) {
    uint64_t all = 0 - (uint64_t)(b->rows.bits[bit >> 3] >> (bit & 7) & 1);
    if (shared && n >= 128) {
        /* to the end of a word, then words by the dozen */
        unsigned head = 64 - writer.fill;
        fd_put_bits(&writer, fd_low_bits(all, head), head);
        n -= head;
        memset(writer.out, (int)(all & 0xFF), n / 64 * 8);
        writer.out += n / 64 * 8;
        n %= 64;
    }
    while (n) {
        unsigned count = n < 64 ? (unsigned)n : 64;
        fd_put_bits(&writer, shared ? fd_low_bits(all, count) : some_bits(b, bit, count), count);
        bit += count;
        n -= count;
    }
    return writer;
}

/* `rows` whole rows of `run` elements; from row to row the mask moves by `stride` bits. */
static fd_bit_writer put_rows(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t rows,
                              ptrdiff_t stride, size_t run, int shared) {
    if (shared && run < 64 && stride == 1) {
        unsigned times = b->rows.times, width = times * (unsigned)run;
        for (; rows >= times; rows -= times, bit += times) {
            fd_put_bits(&writer, b->rows.words[some_bits(b, bit, times)], width);
        }
    }
    if (!shared && stride == 0 && run <= 32) {
        /* a short row again and again: as many as fit in a word at once */
        unsigned times = 64 / (unsigned)run;
        uint64_t several = some_bits(b, bit, (unsigned)run) * b->repeat;
        for (; rows; rows -= times) {
            if (rows < times) { times = (unsigned)rows; }
            unsigned width = times * (unsigned)run;
            fd_put_bits(&writer, fd_low_bits(several, width), width);
        }
    }
    for (; rows; rows--, bit = (size_t)((ptrdiff_t)bit + stride)) {
        writer = put_row(writer, b, bit, run, shared);
    }
    return writer;
}

void fd_expand_bits(uint8_t *out, const fd_broadcast *b, size_t first, size_t n) {
    const fd_layout *layout = b->layout;
    int last = layout->ndim - 1;
    size_t run = layout->shape[last];
    int shared = layout->mask_strides[last] == 0;
    fd_bit_writer writer = {out, 0, 0};
    fd_cursor cursor;
    fd_cursor_seek(&cursor, layout, layout->mask_strides, first);
    while (n) {
        size_t rows = cursor.index[last] ? 0 : n / run;
        size_t left = last ? layout->shape[last - 1] - cursor.index[last - 1] : 1;
        if (rows > left) { rows = left; }
        if (rows) {
            ptrdiff_t stride = last ? layout->mask_strides[last - 1] : 0;
            writer = put_rows(writer, b, (size_t)cursor.offset, rows, stride, run, shared);
            fd_cursor_rows(&cursor, rows);
            n -= rows * run;
        } else {
            size_t part = fd_cursor_run(&cursor, n);
            writer = put_row(writer, b, (size_t)cursor.offset, part, shared);
            fd_cursor_advance(&cursor, part);
            n -= part;
        }
    }
    fd_flush_bits(&writer);
}

/* A row of bits again and again, at least `bits` of them: 8 rows are whole bytes, and are doubled.
 */
static void repeat_row(uint8_t *out, const fd_broadcast *b, size_t bit, size_t bits) {
    fd_bit_writer writer = {out, 0, 0};
    size_t run = b->rows.run, rows = (bits + run - 1) / run, bytes = (bits + 7) / 8;
    writer = put_rows(writer, b, bit, rows < 8 ? rows : 8, 0, run, 0);
    fd_flush_bits(&writer);
    for (size_t made = run; made < bytes; made *= 2) {
        memcpy(out + made, out, made < bytes - made ? made : bytes - made);
    }
}

enum { CHUNK = 4096, LONG_ROW = 8192 };

/* Elements from number `first` of a segment on, all of whose rows have the bits from `bit` on. */
static void apply_repeated(const fd_broadcast *b, fd_apply_bits_fn *apply, size_t size, size_t bit,
                           const char *x, char *y, size_t first, size_t n, double scale) {
    uint8_t pattern[(CHUNK + 2 * LONG_ROW) / 8];
    size_t run = b->rows.run;
    int is_long = run >= LONG_ROW;
    const uint8_t *bits = is_long ? b->rows.bits : pattern;
    first %= run;
    if (!is_long) { repeat_row(pattern, b, bit, n < CHUNK ? first + n : run + CHUNK); }
    while (n) {
        size_t most = is_long ? run - first : CHUNK, m = n < most ? n : most;
        size_t at = is_long ? bit + first : first;
        apply(x, y, m, bits + (at >> 3), at & 7, scale);
        x += m * size;
        y += m * size;
        n -= m;
        first = (first + m) % run;
    }
}

void fd_apply_shared(const fd_broadcast *b, const fd_table *table, fd_dtype dtype, size_t size,
                     const char *x, char *y, size_t first, size_t n, double scale, int stream) {
    const fd_layout *layout = b->layout;
    int last = layout->ndim - 1, in_rows = layout->mask_strides[last] == 0;
    fd_apply_bits_fn *bits = (stream ? table->apply_bits_stream : table->apply_bits)[dtype];
    fd_apply_rows_fn *rows = (stream ? table->apply_rows_stream : table->apply_rows)[dtype];
    for (size_t m; n; n -= m, first += m, x += m * size, y += m * size) {
        size_t index = first / b->segment, at = first % b->segment, bit = 0;
        m = n < b->segment - at ? n : b->segment - at;
        for (int d = last - 2; d >= 0; d--) {
            bit += index % layout->shape[d] * (size_t)layout->mask_strides[d];
            index /= layout->shape[d];
        }
        if (in_rows) {
            rows(x, y, m, &b->rows, bit * b->rows.run + at, scale);
        } else {
            apply_repeated(b, bits, size, bit, x, y, at, m, scale);
        }
    }
}
