/* From one order of the axes into another: packed bits in tiles of up to 64 x 64, and 32-bit words.
 *
 * The rows of a tile are indices whose bits are neighbours in `to`, its columns such whose bits are
 * neighbours in `from`: a tile is read row by row, transposed, and written column by column. Where
 * an axis is short, a side of the tile takes in the next one too, or a tile would cost as much as a
 * full one and hold little. */
#include "bits.h"
#include "permuted.h"

enum { TILE = 64, NARROW = 8 };

/* Bit j of word i becomes bit i of word j: halves change places, then quarters, and so on. */
FD_INLINE void swap_parts(uint64_t *w, unsigned width, uint64_t low) {
    for (unsigned block = 0; block < TILE; block += 2 * width) {
        for (unsigned i = block; i < block + width; i++) {
            uint64_t swap = (w[i] >> width ^ w[i + width]) & low;
            w[i] ^= swap << width;
            w[i + width] ^= swap;
        }
    }
}

static void transpose64(uint64_t *w) {
    swap_parts(w, 32, UINT64_C(0x00000000FFFFFFFF));
    swap_parts(w, 16, UINT64_C(0x0000FFFF0000FFFF));
    swap_parts(w, 8, UINT64_C(0x00FF00FF00FF00FF));
    swap_parts(w, 4, UINT64_C(0x0F0F0F0F0F0F0F0F));
    swap_parts(w, 2, UINT64_C(0x3333333333333333));
    swap_parts(w, 1, UINT64_C(0x5555555555555555));
}

/* The same inside one word: bit j of byte i becomes bit i of byte j. */
FD_INLINE uint64_t transpose8(uint64_t w) {
    uint64_t swap = (w ^ w >> 7) & UINT64_C(0x00AA00AA00AA00AA);
    w ^= swap ^ swap << 7;
    swap = (w ^ w >> 14) & UINT64_C(0x0000CCCC0000CCCC);
    w ^= swap ^ swap << 14;
    swap = (w ^ w >> 28) & UINT64_C(0x00000000F0F0F0F0);
    return w ^ swap ^ swap << 28;
}

/* The low n bits of each of 8 bytes side by side, the bits above them being zero; and back. */
FD_INLINE uint64_t join8(uint64_t w, unsigned n) {
    const uint64_t low8 = UINT64_C(0x00FF00FF00FF00FF), low16 = UINT64_C(0x0000FFFF0000FFFF);
    w = (w & low8) | (w >> 8 & low8) << n;
    w = (w & low16) | (w >> 16 & low16) << 2 * n;
    return (w & UINT64_C(0xFFFFFFFF)) | w >> 32 << 4 * n;
}

FD_INLINE uint64_t part8(uint64_t w, unsigned n) {
    const uint64_t cells32 = UINT64_C(0x0000000100000001), cells16 = UINT64_C(0x0001000100010001);
    uint64_t low = ((UINT64_C(1) << 2 * n) - 1) * cells32;
    w = fd_low_bits(w, 4 * n) | fd_low_bits(w >> 4 * n, 4 * n) << 32;
    w = (w & low) | (w >> 2 * n & low) << 16;
    low = ((UINT64_C(1) << n) - 1) * cells16;
    return (w & low) | (w >> n & low) << 8;
}

/* The mask to read, of which nothing from `end` on is touched. */
typedef struct bits_in {
    const uint8_t *bits, *end;
} bits_in;

FD_INLINE uint64_t bits_from(bits_in from, size_t bit) {
    return fd_bits_before(from.bits, from.end, bit, 64);
}

/* Sets the bits of w, of which there are `count`, from `bit` on. */
FD_INLINE void add_bits(uint8_t *to, size_t bit, uint64_t w, unsigned count) {
    uint8_t *p = to + (bit >> 6) * 8;
    unsigned shift = bit & 63;
    fd_store64(p, fd_load64(p) | w << shift);
    if (shift + count > 64) { fd_store64(p + 8, fd_load64(p + 8) | w >> 1 >> (63 - shift)); }
}

/* One side of a tile: whole axes, `inner` indices in all, and of one more axis, `split`, up to
 * `most` indices at a time. Their bits are neighbours on the near side. No axis at all (`split` is
 * -1) is a side of one index. */
typedef struct side {
    uint64_t axes; /* a bit for each */
    size_t inner, most;
    int split;
    size_t far[TILE]; /* where each index lies on the far side */
} side;

/* The axis with this step that is longer than 1 and not taken, or -1. */
static int axis_at(const fd_box *box, const size_t *steps, size_t step, uint64_t taken) {
    for (int d = box->ndim - 1; d >= 0; d--) {
        if (steps[d] == step && box->n[d] > 1 && !(taken >> d & 1)) { return d; }
    }
    return -1;
}

static void add_axis(side *s, const fd_box *box, const size_t *far, int d) {
    size_t room = TILE / s->inner;
    s->axes |= UINT64_C(1) << d;
    s->split = d;
    s->most = box->n[d] < room ? box->n[d] : room;
    for (size_t k = 1; k < s->most; k++) {
        for (size_t i = 0; i < s->inner; i++) { s->far[k * s->inner + i] = s->far[i] + k * far[d]; }
    }
}

static void take_side(side *s, const fd_box *box, const size_t *near, const size_t *far,
                      uint64_t taken) {
    s->axes = 0;
    s->inner = s->most = 1;
    s->split = -1;
    s->far[0] = 0;
    for (int d = axis_at(box, near, 1, taken); d >= 0;) {
        add_axis(s, box, far, d);
        if (s->inner * box->n[d] > TILE / 2) { return; }
        d = axis_at(box, near, s->inner * box->n[d], taken | s->axes);
        if (d >= 0) { s->inner *= s->most; }
    }
}

/* Where the rows of a tile are short but many columns follow on each other in `to`, 8 x 8 bits at a
 * time: their columns side by side are one run of bits. */
static void interleave(uint8_t *to, size_t to_bit, bits_in from, size_t from_bit, const side *rows,
                       unsigned high, unsigned wide) {
    uint64_t w[NARROW];
    for (unsigned i = 0; i < high; i++) { w[i] = bits_from(from, from_bit + rows->far[i]); }
    for (unsigned j = 0; j < wide; j += 8) {
        uint64_t block = 0;
        for (unsigned i = 0; i < high; i++) { block |= (w[i] >> j & 0xFF) << 8 * i; }
        unsigned count = (wide - j < 8 ? wide - j : 8) * high;
        add_bits(to, to_bit + j * high, fd_low_bits(join8(transpose8(block), high), count), count);
    }
}

/* And where the columns are few but many rows follow on each other in `from`. */
static void deinterleave(uint8_t *to, size_t to_bit, bits_in from, size_t from_bit,
                         const side *columns, unsigned high, unsigned wide) {
    uint64_t w[NARROW] = {0};
    for (unsigned i = 0; i < high; i += 8) {
        uint64_t block = transpose8(part8(bits_from(from, from_bit + i * wide), wide));
        for (unsigned j = 0; j < wide; j++) { w[j] |= (block >> 8 * j & 0xFF) << i; }
    }
    for (unsigned j = 0; j < wide; j++) {
        add_bits(to, to_bit + columns->far[j], fd_low_bits(w[j], high), high);
    }
}

static void transpose(uint8_t *to, size_t to_bit, bits_in from, size_t from_bit, const side *rows,
                      const side *columns, unsigned high, unsigned wide) {
    uint64_t w[TILE];
    for (unsigned i = 0; i < high; i++) { w[i] = bits_from(from, from_bit + rows->far[i]); }
    memset(w + high, 0, (TILE - high) * sizeof *w);
    transpose64(w);
    for (unsigned j = 0; j < wide; j++) { add_bits(to, to_bit + columns->far[j], w[j], high); }
}

static void copy_run(uint8_t *to, size_t to_bit, bits_in from, size_t from_bit, size_t n) {
    for (size_t i = 0; i < n; i += 64) {
        unsigned count = n - i < 64 ? (unsigned)(n - i) : 64;
        add_bits(to, to_bit + i, fd_low_bits(bits_from(from, from_bit + i), count), count);
    }
}

/* How many tiles a side has, and how many indices are in one of them. */
static size_t tiles(const side *s, const fd_box *box) {
    return s->split < 0 ? 1 : (box->n[s->split] + s->most - 1) / s->most;
}

static unsigned extent(const side *s, const fd_box *box, size_t tile) {
    size_t left = s->split < 0 ? 1 : box->n[s->split] - tile * s->most;
    return (unsigned)(s->inner * (left < s->most ? left : s->most));
}

static size_t tile_step(const side *s, const size_t *steps) {
    return s->split < 0 ? 0 : s->most * steps[s->split];
}

/* Whether indices follow on each other on the far side, `step` apart. */
static int evenly(const side *s, size_t step) {
    return s->inner == 1 && s->most > 1 && s->far[1] == step;
}

static void transpose_plane(uint8_t *to, size_t to_bit, bits_in from, size_t from_bit,
                            const fd_box *box, const side *rows, const side *columns) {
    size_t to_row = tile_step(rows, box->to_steps), from_row = tile_step(rows, box->from_steps);
    size_t to_column = tile_step(columns, box->to_steps);
    size_t from_column = tile_step(columns, box->from_steps);
    for (size_t i = 0; i < tiles(rows, box); i++) {
        unsigned high = extent(rows, box, i);
        for (size_t j = 0; j < tiles(columns, box); j++) {
            unsigned wide = extent(columns, box, j);
            size_t here = from_bit + i * from_row + j * from_column;
            size_t there = to_bit + i * to_row + j * to_column;
            if (high <= NARROW && evenly(columns, high)) {
                interleave(to, there, from, here, rows, high, wide);
            } else if (wide <= NARROW && evenly(rows, wide)) {
                deinterleave(to, there, from, here, columns, high, wide);
            } else {
                transpose(to, there, from, here, rows, columns, high, wide);
            }
        }
    }
}

void fd_permute_bits(uint8_t *to, const uint8_t *bits, size_t bytes, size_t bit,
                     const fd_box *box) {
    bits_in from = {bits, bits + bytes};
    side rows, columns;
    int a = axis_at(box, box->to_steps, 1, 0), c = axis_at(box, box->from_steps, 1, 0);
    int same_order = a >= 0 && a == c;
    uint64_t inside = same_order ? UINT64_C(1) << a : 0;
    if (!same_order) {
        take_side(&rows, box, box->to_steps, box->from_steps, c < 0 ? 0 : UINT64_C(1) << c);
        take_side(&columns, box, box->from_steps, box->to_steps, rows.axes);
        inside = rows.axes | columns.axes;
    }
    fd_walk walk = {.at = {(ptrdiff_t)bit, 0}};
    for (int d = 0; d < box->ndim; d++) {
        if (inside >> d & 1) { continue; }
        fd_walk_axis(
            &walk, box->n[d],
            (ptrdiff_t[FD_PLACES]){(ptrdiff_t)box->from_steps[d], (ptrdiff_t)box->to_steps[d]});
    }
    do {
        size_t here = (size_t)walk.at[0], there = (size_t)walk.at[1];
        if (same_order) {
            copy_run(to, there, from, here, box->n[a]);
        } else {
            transpose_plane(to, there, from, here, box, &rows, &columns);
        }
    } while (fd_walk_next(&walk));
}

/* Rows of `to` have `columns` words, of which neighbours are `step` apart in `from`. A line of the
 * cache at a time is read, as whole as it can be. */
static void transpose_words(uint32_t *to, size_t row, const uint32_t *from, size_t step,
                            size_t rows, size_t columns) {
    enum { LINE = 16 };
    for (size_t i = 0; i < rows; i += LINE, to += LINE * row, from += LINE) {
        const uint32_t *x = from;
        if (rows - i >= LINE) {
            for (size_t k = 0; k < columns; k++, x += step) {
                FD_UNROLL
                for (size_t m = 0; m < LINE; m++) { to[m * row + k] = x[m]; }
            }
        } else {
            for (size_t k = 0; k < columns; k++, x += step) {
                for (size_t m = 0; m < rows - i; m++) { to[m * row + k] = x[m]; }
            }
        }
    }
}

void fd_permute_words(uint32_t *to, const uint32_t *from, const fd_box *box) {
    int a = axis_at(box, box->to_steps, 1, 0), c = axis_at(box, box->from_steps, 1, 0);
    fd_walk walk = {.at = {0}};
    for (int d = 0; d < box->ndim; d++) {
        if (d == a || d == c) { continue; }
        fd_walk_axis(
            &walk, box->n[d],
            (ptrdiff_t[FD_PLACES]){(ptrdiff_t)box->from_steps[d], (ptrdiff_t)box->to_steps[d]});
    }
    size_t columns = a < 0 ? 1 : box->n[a], step = a < 0 ? 1 : box->from_steps[a];
    size_t rows = c < 0 ? 1 : box->n[c], row = c < 0 ? 1 : box->to_steps[c];
    do {
        uint32_t *there = to + walk.at[1];
        const uint32_t *here = from + walk.at[0];
        if (a == c) {
            memcpy(there, here, columns * sizeof *there);
        } else {
            transpose_words(there, row, here, step, rows, columns);
        }
    } while (fd_walk_next(&walk));
}
