/* Shared decisions: the small mask of an operation, spread over all elements. */
#include "bits.h"
#include "layout.h"

void fd_rows_make_words(fd_rows *rows, size_t count) {
    if (rows->run >= 64) { return; }
    unsigned run = (unsigned)rows->run;
    rows->times = run <= 8 ? 8 : 64 / run;
    if (rows->times > count) { rows->times = (unsigned)count; }
    rows->words[0] = 0;
    for (unsigned row = 0; row < rows->times; row++) {
        uint64_t one = fd_low_bits(~UINT64_C(0), run) << row * run;
        for (unsigned i = 0; i < 1U << row; i++) {
            rows->words[i + (1U << row)] = rows->words[i] | one;
        }
    }
}

/* The grid of one row. */
static const size_t one_row[] = {1};
static const ptrdiff_t one_step[] = {1};

void fd_broadcast_init(fd_broadcast *b, fd_grid grid, const uint8_t *bits) {
    int last = grid.ndim - 1, in_rows = grid.strides[last] == 0;
    b->grid = b->coarse = grid;
    b->rows.bits = bits;
    b->rows.end = bits + fd_mask_bytes(grid);
    b->rows.run = 1;
    if (in_rows) {
        b->rows.run = grid.shape[last];
        fd_rows_make_words(&b->rows, fd_size(last, grid.shape));
        b->coarse.ndim = last;
        if (!last) { b->coarse = (fd_grid){1, one_row, one_step}; }
    }
    last = b->coarse.ndim - 1;
    size_t run = b->coarse.shape[last];
    b->direct = b->coarse.strides[last] == 1;
    b->times = run <= 64 ? 64 / (unsigned)run : 1;
    b->repeat = 0;
    for (unsigned i = 0; i < b->times; i++) { b->repeat |= UINT64_C(1) << i * run; }
}

/* Up to 64 bits from `bit` on, the rest zero. */
static uint64_t some_bits(const fd_broadcast *b, size_t bit, unsigned count) {
    return fd_low_bits(fd_bits_before(b->rows.bits, b->rows.end, bit, count), count);
}

/* The writers below go by value: behind a pointer, each store of a byte might change them, and they
 * would be loaded again for every word. */

/* n bits that are all the same: to the end of a word, words by the dozen, and the rest. */
FD_INLINE fd_bit_writer put_same(fd_bit_writer writer, uint64_t all, size_t n) {
    if (n >= 128) {
        unsigned head = 64 - writer.fill;
        fd_put_bits(&writer, fd_low_bits(all, head), head);
        n -= head;
        memset(writer.out, (int)(all & 0xFF), n / 64 * 8);
        writer.out += n / 64 * 8;
        n %= 64;
    }
    for (; n > 64; n -= 64) { fd_put_bits(&writer, all, 64); }
    if (n) { fd_put_bits(&writer, fd_low_bits(all, (unsigned)n), (unsigned)n); }
    return writer;
}

/* n bits of the mask. Once the word that waits is full, the next ones begin at the same place of a
 * byte each, and nothing is carried from one to the next. */
FD_INLINE fd_bit_writer put_run(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t n) {
    if (n >= 128) {
        unsigned head = 64 - writer.fill;
        fd_put_bits(&writer, some_bits(b, bit, head), head);
        bit += head;
        n -= head;
        for (; n >= 64; n -= 64, bit += 64, writer.out += 8) {
            fd_store64(writer.out, fd_bits64(b->rows.bits, bit));
        }
    }
    for (; n > 64; n -= 64, bit += 64) { fd_put_bits(&writer, some_bits(b, bit, 64), 64); }
    if (n) { fd_put_bits(&writer, some_bits(b, bit, (unsigned)n), (unsigned)n); }
    return writer;
}

FD_INLINE fd_bit_writer put_row(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t n,
                                int shared) {
    if (!shared) { return put_run(writer, b, bit, n); }
    return put_same(writer, 0 - (uint64_t)(b->rows.bits[bit >> 3] >> (bit & 7) & 1), n);
}

/* n bits that are the same as those `bytes` >= 8 bytes before, which have been stored. */
FD_INLINE fd_bit_writer put_back(fd_bit_writer writer, size_t bytes, size_t n) {
    uint64_t new = fd_load64(writer.out - bytes);
    writer.word |= new & ~fd_low_bits(~UINT64_C(0), writer.fill);
    for (n += writer.fill; n >= 64; n -= 64) {
        fd_store64(writer.out, writer.word);
        writer.out += 8;
        writer.word = fd_load64(writer.out - bytes);
    }
    writer.fill = (unsigned)n;
    writer.word = fd_low_bits(writer.word, writer.fill);
    return writer;
}

/* The same row of `run` bits again and again: where it is short, as many as fit in a word at once.
 */
FD_INLINE fd_bit_writer put_again(fd_bit_writer writer, const fd_broadcast *b, size_t bit,
                                  size_t rows, size_t run) {
    if (run > 64) {
        /* 8 rows are whole bytes; the ninth is longer than what waits */
        size_t first = rows < 12 ? rows : 9;
        for (size_t i = 0; i < first; i++) { writer = put_run(writer, b, bit, run); }
        return rows > first ? put_back(writer, run, (rows - first) * run) : writer;
    }
    unsigned width = b->times * (unsigned)run;
    uint64_t several = some_bits(b, bit, (unsigned)run) * b->repeat;
    for (; rows > b->times; rows -= b->times) { fd_put_bits(&writer, several, width); }
    width = (unsigned)(rows * run);
    fd_put_bits(&writer, fd_low_bits(several, width), width);
    return writer;
}

/* `rows` whole rows of `run` elements; from row to row the mask moves by `stride` bits. */
static fd_bit_writer put_rows(fd_bit_writer writer, const fd_broadcast *b, size_t bit, size_t rows,
                              ptrdiff_t stride, size_t run, int shared) {
    if (!shared && stride == 0) { return put_again(writer, b, bit, rows, run); }
    if (shared && run < 64 && stride == 1) {
        unsigned times = b->rows.times, width = times * (unsigned)run;
        for (; rows >= times; rows -= times, bit += times) {
            fd_put_bits(&writer, b->rows.words[some_bits(b, bit, times)], width);
        }
    }
    for (; rows; rows--, bit = (size_t)((ptrdiff_t)bit + stride)) {
        writer = put_row(writer, b, bit, run, shared);
    }
    return writer;
}

/* Whole planes of the last two axes, over each of which a row is repeated: without looking at the
 * cursor in between, because they may be tiny. */
static fd_bit_writer put_planes(fd_bit_writer writer, const fd_broadcast *b,
                                const fd_cursor *cursor, size_t planes) {
    const fd_grid *grid = &cursor->grid;
    int last = grid->ndim - 1;
    size_t rows = grid->shape[last - 1], run = grid->shape[last], bit = (size_t)cursor->offset;
    for (; planes; planes--, bit = (size_t)((ptrdiff_t)bit + grid->strides[last - 2])) {
        writer = put_again(writer, b, bit, rows, run);
    }
    return writer;
}

/* The bits of n elements from the cursor on, which goes on by as many. */
static void put_elements(uint8_t *out, const fd_broadcast *b, fd_cursor *cursor, size_t n) {
    const fd_grid *grid = &cursor->grid;
    int last = grid->ndim - 1, shared = grid->strides[last] == 0;
    size_t run = grid->shape[last], all = last ? grid->shape[last - 1] : 1;
    ptrdiff_t stride = last ? grid->strides[last - 1] : 0;
    int repeats = last > 1 && !shared && !stride;
    fd_bit_writer writer = {out, 0, 0};
    while (n) {
        size_t rows = last ? all - cursor->index[last - 1] : 0;
        if (rows * run > n) { rows = n / run; } /* mostly there is nothing to divide */
        if (!rows || cursor->index[last]) {
            size_t part = fd_cursor_run(cursor, n);
            writer = put_row(writer, b, (size_t)cursor->offset, part, shared);
            fd_cursor_advance(cursor, part);
            n -= part;
        } else if (repeats && rows == all) {
            size_t left = grid->shape[last - 2] - cursor->index[last - 2], planes = n / (all * run);
            if (planes > left) { planes = left; }
            writer = put_planes(writer, b, cursor, planes);
            fd_cursor_skip(cursor, last - 2, planes);
            n -= planes * all * run;
        } else {
            writer = put_rows(writer, b, (size_t)cursor->offset, rows, stride, run, shared);
            fd_cursor_skip(cursor, last - 1, rows);
            n -= rows * run;
        }
    }
    fd_flush_bits(&writer);
}

void fd_expand_bits(uint8_t *out, const fd_broadcast *b, size_t first, size_t n) {
    fd_cursor cursor;
    fd_cursor_seek(&cursor, b->grid, first);
    put_elements(out, b, &cursor, n);
}

/* How many rows have their bits brought together at a time; and how many neighbours among them are
 * left where they are. */
enum { CHUNK = 4096, LONG_RUN = 2048 };

/* The bits of some rows, in coordinates of b->coarse: where the mask has them, or copies. */
typedef struct row_bits {
    fd_cursor cursor; /* after them */
    const uint8_t *bits, *end;
    size_t bit, count, again; /* the first one; how many; how often more they come in a row */
    uint8_t copies[CHUNK / 8];
} row_bits;

/* Where a row of the mask's bits is repeated more often than fills a chunk, a chunk is cut so that
 * the next ones are the same: into repetitions, as many as make whole steps if there is room. */
static void cut_chunk(row_bits *r, size_t needed) {
    const fd_grid *grid = &r->cursor.grid;
    int last = grid->ndim - 1;
    size_t run = grid->shape[last], times = CHUNK / run, period = FD_STEP;
    r->count = needed < CHUNK ? needed : CHUNK;
    if (!last || grid->strides[last - 1] || r->cursor.index[last]) { return; }
    while (period > 1 && run * period % (2 * FD_STEP) == 0) { period /= 2; }
    if (times >= period) { times -= times % period; }
    size_t left = grid->shape[last - 1] - r->cursor.index[last - 1];
    if (left > needed / run) { left = needed / run; }
    if (left >= 2 * times) {
        r->count = times * run;
        r->again = left / times - 1;
    }
}

/* The bits of up to `needed` rows after those. */
static void next_rows(row_bits *r, const fd_broadcast *b, size_t needed) {
    if (r->again) {
        r->again--;
        return;
    }
    r->bits = b->rows.bits;
    r->end = b->rows.end;
    r->bit = (size_t)r->cursor.offset;
    r->count = fd_cursor_run(&r->cursor, needed);
    if (r->count == needed || r->count >= LONG_RUN) {
        fd_cursor_advance(&r->cursor, r->count);
        return;
    }
    cut_chunk(r, needed);
    put_elements(r->copies, b, &r->cursor, r->count);
    if (r->again) {
        int last = b->coarse.ndim - 1;
        fd_cursor_skip(&r->cursor, last - 1, r->count / b->coarse.shape[last] * r->again);
    }
    r->bits = r->copies;
    r->end = r->copies + (r->count + 7) / 8;
    r->bit = 0;
}

void fd_apply_shared(const fd_broadcast *b, const fd_table *table, fd_dtype dtype, size_t size,
                     const char *x, char *y, size_t first, size_t n, double scale, int stream) {
    fd_apply_bits_fn *apply_bits = (stream ? table->apply_bits_stream : table->apply_bits)[dtype];
    fd_apply_rows_fn *apply_rows = (stream ? table->apply_rows_stream : table->apply_rows)[dtype];
    int in_rows = b->grid.strides[b->grid.ndim - 1] == 0;
    size_t run = b->rows.run, at = first % run;
    fd_rows rows = b->rows;
    row_bits r;
    r.again = 0;
    fd_cursor_seek(&r.cursor, b->coarse, first / run);
    for (size_t m; n; n -= m, x += m * size, y += m * size, at = 0) {
        next_rows(&r, b, (at + n + run - 1) / run);
        m = r.count * run - at < n ? r.count * run - at : n;
        if (in_rows) {
            rows.bits = r.bits;
            rows.end = r.end;
            apply_rows(x, y, m, &rows, r.bit * run + at, scale);
        } else {
            apply_bits(x, y, m, r.bits + (r.bit >> 3), r.bit & 7, scale);
        }
    }
}
