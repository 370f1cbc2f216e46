/* Shared decisions: the small mask of an operation, spread over all elements. */
#include "bits.h"
#include "layout.h"

enum { FD_SHORT_ROW = 8 };

static int shares_short_rows(const fd_layout *layout) {
    int last = layout->ndim - 1;
    return layout->mask_strides[last] == 0 && layout->shape[last] <= FD_SHORT_ROW && last > 0 &&
           layout->mask_strides[last - 1] == 1;
}

void fd_broadcast_init(fd_broadcast *b, const fd_layout *layout, const uint8_t *bits) {
    size_t bits_used = 1;
    for (int d = 0; d < layout->ndim; d++) {
        bits_used += (layout->shape[d] - 1) * (size_t)layout->mask_strides[d];
    }
    b->layout = layout;
    b->bits = bits;
    b->bytes = (bits_used + 7) / 8;
    if (!shares_short_rows(layout)) { return; }
    unsigned run = (unsigned)layout->shape[layout->ndim - 1];
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t rows = 0;
        for (unsigned row = 0; row < 8; row++) {
            rows |= fd_low_bits(0 - (uint64_t)(byte >> row & 1), run) << (row * run);
        }
        b->rows8[byte] = rows;
    }
}

/* Up to 64 bits from `bit` on, the rest zero; reads past them only inside the mask. */
static uint64_t some_bits(const fd_broadcast *b, size_t bit, unsigned count) {
    size_t byte = bit >> 3;
    if (byte + 9 <= b->bytes) { return fd_low_bits(fd_bits64(b->bits, bit), count); }
    return fd_bits_tail(b->bits, bit, count);
}

/* The writers below go by value: behind a pointer, each store of a byte might change them, and they
 * would be loaded again for every word. */
FD_INLINE fd_bit_writer put_row(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t n,
                                int shared) {
    uint64_t all = 0 - (uint64_t)(b->bits[bit >> 3] >> (bit & 7) & 1);
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

/* How many short rows that share a bit each are made into one word: a row at a time, their ends
 * would be what they cost. */
FD_INLINE unsigned shared_rows_at_once(size_t run) {
    return run <= FD_SHORT_ROW ? 64 / (8 * (unsigned)run) * 8 : 64 / (unsigned)run;
}

FD_INLINE uint64_t spread_rows(const fd_broadcast *b, uint64_t keep, unsigned rows, unsigned run) {
    uint64_t w = 0;
    if (run <= FD_SHORT_ROW) {
        for (unsigned i = 0; i < rows; i += 8) { w |= b->rows8[keep >> i & 0xFF] << (i * run); }
    } else {
        for (unsigned i = 0; i < rows; i++) {
            w |= fd_low_bits(0 - (keep >> i & 1), run) << (i * run);
        }
    }
    return w;
}

/* `rows` whole rows of `run` elements; from row to row the mask moves by `stride` bits. */
static fd_bit_writer put_rows(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t rows,
                              ptrdiff_t stride, size_t run, int shared) {
    if (shared && run <= 32 && stride == 1) {
        unsigned times = shared_rows_at_once(run), width = times * (unsigned)run;
        for (; rows >= times; rows -= times, bit += times) {
            uint64_t keep = some_bits(b, bit, times);
            fd_put_bits(&writer, spread_rows(b, keep, times, (unsigned)run), width);
        }
    }
    if (!shared && stride == 0 && run <= 32) {
        /* a short row again and again: as many as fit in a word at once */
        unsigned times = 64 / (unsigned)run, width = times * (unsigned)run;
        uint64_t row = some_bits(b, bit, (unsigned)run), several = 0;
        for (unsigned i = 0; i < width; i += (unsigned)run) { several |= row << i; }
        for (; rows >= times; rows -= times) { fd_put_bits(&writer, several, width); }
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
