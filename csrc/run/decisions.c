#include "decisions.h"

#include "bits.h"
#include "cpu/dispatch.h"
#include "share.h"

/* The bits of a part of a block. Where runs are short and near each other, whole blocks are drawn,
 * and several runs read from each. */
typedef struct drawn_bits {
    const fd_table *table;
    const fd_draw *draw;
    int whole;
    uint64_t block; /* whose bits are there, if `whole`; at first none */
    uint8_t bits[FD_BLOCK / 8 + 9];
} drawn_bits;

/* So near are the runs of a grid that whole blocks serve several of them. */
enum { NEAR = FD_BLOCK / 8 };

/* Where the bits of `span` positions, all in one block, are. */
static size_t find_bits(drawn_bits *b, uint64_t position, size_t span) {
    fd_draw d = *b->draw;
    if (!b->whole) {
        d.position = position;
        b->table->mask_bits(b->bits, span, &d);
        return 0;
    }
    if (b->block != position / FD_BLOCK) {
        b->block = position / FD_BLOCK;
        d.position = position / FD_BLOCK * FD_BLOCK;
        b->table->mask_bits(b->bits, FD_BLOCK, &d);
    }
    return position % FD_BLOCK;
}

static fd_bit_writer put_every(fd_bit_writer writer, const uint8_t *bits, size_t bit, size_t n,
                               size_t step) {
    uint64_t all = 0 - (uint64_t)(bits[bit >> 3] >> (bit & 7) & 1);
    if (step > 1) {
        for (; n; n--, bit += step) { fd_put_bits(&writer, bits[bit >> 3] >> (bit & 7) & 1, 1); }
    }
    for (size_t m; n; n -= m, bit += m) {
        m = n < 64 ? n : 64;
        uint64_t w = step ? fd_bits64(bits, bit) : all;
        fd_put_bits(&writer, fd_low_bits(w, (unsigned)m), (unsigned)m);
    }
    return writer;
}

void fd_draw_bits(const fd_table *table, const fd_draw *d, fd_grid steps, size_t first, size_t n,
                  uint8_t *bits) {
    fd_cursor cursor;
    fd_bit_writer writer = {bits, 0, 0};
    int last = steps.ndim - 1;
    size_t step = (size_t)steps.strides[last];
    drawn_bits b;
    b.table = table;
    b.draw = d;
    b.block = UINT64_MAX;
    b.whole = last && steps.strides[last - 1] <= NEAR && steps.shape[last] * step <= NEAR;
    fd_cursor_seek(&cursor, steps, first);
    for (size_t run; n; n -= run) {
        run = fd_cursor_run(&cursor, n);
        uint64_t position = d->position + (uint64_t)cursor.offset;
        fd_cursor_advance(&cursor, run);
        for (size_t m, left = run; left; left -= m, position += m * step) {
            size_t room = step ? (FD_BLOCK - position % FD_BLOCK + step - 1) / step : left;
            m = left < room ? left : room;
            size_t bit = find_bits(&b, position, (m - 1) * step + 1);
            writer = put_every(writer, b.bits, bit, m, step);
        }
    }
    fd_flush_bits(&writer);
}

void fd_draw_fields(const fd_table *table, const fd_draw *draw, fd_grid steps, size_t first,
                    size_t n, uint16_t *fields) {
    uint16_t some[FD_BLOCK];
    fd_cursor cursor;
    size_t step = (size_t)steps.strides[steps.ndim - 1];
    size_t most = step > FD_BLOCK / 4 ? 1 : step > 1 ? FD_BLOCK / 2 / step : FD_BLOCK;
    fd_cursor_seek(&cursor, steps, first);
    for (size_t run; n; n -= run, fields += 2 * run) {
        run = fd_cursor_run(&cursor, n < most ? n : most);
        fd_draw d = *draw;
        d.position += 2 * (uint64_t)cursor.offset;
        fd_cursor_advance(&cursor, run);
        if (step == 1) {
            table->fields(fields, 2 * run, &d);
            continue;
        }
        table->fields(some, 2 * ((run - 1) * step + 1), &d);
        for (size_t i = 0; i < run; i++) {
            memcpy(fields + 2 * i, some + 2 * i * step, 2 * sizeof *fields);
        }
    }
}

/* To draw a decision takes about as long as to move so many bytes. */
enum { EFFORT = 8 };

/* Masks are cut at multiples of 4096 elements of the output, so that no two threads share a byte.
 */
typedef struct mask_job {
    const fd_table *table;
    fd_draw draw;
    fd_grid steps;
    uint8_t *out;
    int packed, in_order;
} mask_job;

static void run_share(const void *context, size_t first, size_t end) {
    const mask_job *j = context;
    fd_draw d = j->draw;
    if (j->packed && j->in_order) {
        d.position += first;
        j->table->mask_bits(j->out + first / 8, end - first, &d);
        return;
    }
    for (size_t n; first < end; first += n) {
        uint8_t made[FD_BLOCK / 8], *bits = j->packed ? j->out + first / 8 : made;
        n = FD_BLOCK;
        if (j->in_order) {
            d.position = j->draw.position + first;
            n -= d.position % FD_BLOCK;
        }
        if (n > end - first) { n = end - first; }
        if (j->in_order) {
            j->table->mask_bits(bits, n, &d);
        } else {
            fd_draw_bits(j->table, &j->draw, j->steps, first, n, bits);
        }
        if (!j->packed) { j->table->unpack_bool(bits, j->out + first, n); }
    }
}

void fd_draw_grid(uint8_t *out, int packed, fd_grid steps, const fd_key *key, const fd_plan *plan) {
    mask_job j = {fd_active_table(), fd_draw_make(key, plan), steps, out, packed, 0};
    j.in_order = fd_is_contiguous(steps, 1);
    size_t n = fd_size(steps.ndim, steps.shape);
    if (n <= FD_BLOCK) {
        run_share(&j, 0, n); /* bits need no floating-point modes */
    } else {
        fd_share(n, 0, EFFORT, run_share, &j);
    }
}

void fd_draw_mask(uint8_t *out, int packed, int ndim, const size_t *shape, const ptrdiff_t *steps,
                  const fd_key *key, const fd_plan *plan) {
    fd_axes axes;
    axes.ndim = ndim;
    axes.operands = 0;
    memcpy(axes.shape, shape, (size_t)ndim * sizeof *shape);
    memcpy(axes.steps, steps, (size_t)ndim * sizeof *steps);
    fd_axes_merge(&axes, &axes);
    fd_draw_grid(out, packed, fd_grid_of(&axes, axes.steps), key, plan);
}

void fd_mask_bits(uint8_t *bits, size_t n, const fd_key *key, const fd_plan *plan) {
    const ptrdiff_t step = 1;
    fd_draw_grid(bits, 1, (fd_grid){1, &n, &step}, key, plan);
}

void fd_mask_bool(uint8_t *mask, size_t n, const fd_key *key, const fd_plan *plan) {
    const ptrdiff_t step = 1;
    fd_draw_grid(mask, 0, (fd_grid){1, &n, &step}, key, plan);
}
