/* DropBlock's mask.
 *
 * Planes lie behind one another in C order, so that many of them are one run of bits. A seed is put
 * where its block's lowest corner lies, and as no block leaves its plane, the whole run is spread
 * at once: by a bit along the last axis, by a row along the one before it, twice as far in each
 * step. All of this happens in the output, on a group of planes that fills whole bytes and stays in
 * the cache.
 */
#include "run/thread.h"

#include "bits.h"
#include "cpu/dispatch.h"
#include "run/pool.h"

/* Bits of a group, where planes are not larger; and below how many elements waking helpers costs
 * more than they save. */
enum { GROUP_BITS = 1 << 16, PARALLEL_ELEMENTS = 1 << 19 };

typedef struct job {
    const fd_table *table;
    fd_draw draw;
    const fd_blocks *blocks;
    size_t corners[3];   /* of blocks, along each axis */
    size_t plane, seeds; /* elements and corners of a plane */
    size_t group, piece; /* planes that are spread at once, and of a thread's task */
    uint8_t *bits;
    fd_mutex lock;
    size_t kept; /* guarded by the lock */
} job;

/* Decisions in the order of their positions, drawn a block of the stream at a time. */
typedef struct seed_reader {
    const fd_table *table;
    fd_draw draw;                   /* where the next one to draw is */
    size_t undrawn, next, end;      /* next..end-1 are the bits that wait in the buffer */
    uint8_t keep[FD_BLOCK / 8 + 8]; /* a word may be read from the last byte on */
} seed_reader;

/* The next `count` <= 64 decisions; a set bit is a seed. */
static uint64_t take_seeds(seed_reader *r, size_t count) {
    uint64_t seeds = 0;
    for (size_t taken = 0, n; taken < count; taken += n, r->next += n) {
        if (r->next == r->end) {
            size_t left = FD_BLOCK - r->draw.position % FD_BLOCK;
            r->end = left < r->undrawn ? left : r->undrawn;
            r->next = 0;
            r->table->mask_bits(r->keep, r->end, &r->draw);
            r->draw.position += r->end;
            r->undrawn -= r->end;
        }
        n = r->end - r->next < count - taken ? r->end - r->next : count - taken;
        seeds |= fd_low_bits(~fd_bits64(r->keep, r->next), (unsigned)n) << taken;
    }
    return seeds;
}

static void put_zeros(fd_bit_writer *writer, size_t n) {
    for (; n > 64; n -= 64) { fd_put_bits(writer, 0, 64); }
    if (n) { fd_put_bits(writer, 0, (unsigned)n); }
}

/* Rows of at most 64 elements: a word each, in registers while the buffer lasts. */
static void put_short_rows(fd_bit_writer *writer, seed_reader *r, size_t rows, size_t corners,
                           unsigned row) {
    fd_bit_writer w = *writer;
    uint64_t mask = fd_low_bits(UINT64_MAX, (unsigned)corners);
    while (rows) {
        size_t next = r->next, whole = (r->end - next) / corners;
        if (whole > rows) { whole = rows; }
        for (size_t i = 0; i < whole; i++, next += corners) {
            const uint8_t *keep = r->keep + next / 8;
            uint64_t above = (uint64_t)keep[8] << 1 << (63 - next % 8);
            fd_put_bits(&w, ~(fd_load64(keep) >> next % 8 | above) & mask, row);
        }
        r->next = next;
        rows -= whole;
        if (rows) {
            fd_put_bits(&w, take_seeds(r, corners), row);
            rows--;
        }
    }
    *writer = w;
}

static void put_long_row(fd_bit_writer *writer, seed_reader *r, size_t corners, size_t row) {
    row -= corners;
    for (; corners > 64; corners -= 64) { fd_put_bits(writer, take_seeds(r, 64), 64); }
    fd_put_bits(writer, take_seeds(r, corners), (unsigned)corners);
    put_zeros(writer, row);
}

static void put_plane(fd_bit_writer *writer, seed_reader *r, const job *j) {
    const size_t *shape = j->blocks->shape, *corners = j->corners;
    for (size_t a = 0; a < corners[0]; a++) {
        if (shape[2] <= 64) {
            put_short_rows(writer, r, corners[1], corners[2], (unsigned)shape[2]);
        } else {
            for (size_t b = 0; b < corners[1]; b++) {
                put_long_row(writer, r, corners[2], shape[2]);
            }
        }
        put_zeros(writer, (shape[1] - corners[1]) * shape[2]);
    }
    put_zeros(writer, (shape[0] - corners[0]) * shape[1] * shape[2]);
}

static void spread_seeds(const job *j, uint8_t *bits, size_t bytes) {
    size_t stride = 1;
    for (int d = 2; d >= 0; d--) {
        size_t block = j->blocks->block[d];
        for (size_t done = 1, step; done < block; done += step) {
            step = done < block - done ? done : block - done;
            j->table->spread_bits(bits, bytes, step * stride);
        }
        stride *= j->blocks->shape[d];
    }
}

static void run_piece(void *context, size_t index) {
    job *j = context;
    size_t first = index * j->piece, left = j->blocks->planes - first, kept = 0;
    if (left > j->piece) { left = j->piece; }
    seed_reader reader = {.table = j->table, .draw = j->draw, .undrawn = left * j->seeds};
    reader.draw.position += first * j->seeds;
    uint8_t *bits = j->bits + first * j->plane / 8;
    for (size_t planes; left; left -= planes) {
        planes = left < j->group ? left : j->group;
        size_t n = planes * j->plane, bytes = (n + 7) / 8;
        fd_bit_writer writer = {bits, 0, 0};
        for (size_t i = 0; i < planes; i++) { put_plane(&writer, &reader, j); }
        fd_flush_bits(&writer);
        spread_seeds(j, bits, bytes);
        kept += j->table->invert_bits(bits, n);
        bits += bytes;
    }
    fd_lock(&j->lock);
    j->kept += kept;
    fd_unlock(&j->lock);
}

size_t fd_drop_block_bits(uint8_t *bits, const fd_blocks *blocks, const fd_key *key,
                          const fd_plan *plan) {
    job j = {.table = fd_active_table(),
             .draw = fd_draw_make(key, plan),
             .blocks = blocks,
             .plane = 1,
             .seeds = 1,
             .group = 8,
             .bits = bits,
             .lock = FD_MUTEX_INIT};
    for (int d = 0; d < 3; d++) {
        j.corners[d] = blocks->shape[d] - blocks->block[d] + 1;
        j.plane *= blocks->shape[d];
        j.seeds *= j.corners[d];
    }
    /* The fewest planes that fill whole bytes, then as many of these as a group holds. */
    for (; j.group > 1 && j.plane * j.group % 16 == 0; j.group /= 2) {}
    if (GROUP_BITS / j.plane > j.group) { j.group *= GROUP_BITS / j.plane / j.group; }
    size_t groups = (blocks->planes + j.group - 1) / j.group;
    int threads = blocks->planes * j.plane >= PARALLEL_ELEMENTS ? fd_get_num_threads() : 1;
    j.piece = (threads > 1 ? groups / ((size_t)threads * 4) + 1 : groups) * j.group;
    fd_pool_run(blocks->planes ? (blocks->planes + j.piece - 1) / j.piece : 0, threads, run_piece,
                &j);
    return j.kept;
}
