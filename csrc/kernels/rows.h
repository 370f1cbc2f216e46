/* The keep bits of 64 elements at a time where each row of elements shares one decision. They are
 * made in registers, between two words that are applied, which hides nearly all of their cost. */
#ifndef FD_ROWS_H
#define FD_ROWS_H

/* A local copy of fd_rows: a store through another pointer could alias the original. */
typedef struct row_words {
    const uint8_t *bits, *end;
    const uint64_t *words;
    size_t run, bit; /* the bit of the row we are in, where rows are long, or of the one to come */
    uint64_t late;   /* that bit 64 times, or the `left` bits that no word had room for */
    size_t left;     /* of a long row */
    unsigned times, width;
} row_words;

FD_INLINE uint64_t row_bit(const row_words *r) {
    return 0 - (uint64_t)(r->bits[r->bit >> 3] >> (r->bit & 7) & 1);
}

/* Start at element `first` of row 0. */
FD_INLINE row_words row_words_at(const fd_rows *rows, size_t first) {
    row_words r = {rows->bits, rows->end, rows->words, rows->run, 0, 0, 0, rows->times, 0};
    r.bit = first / r.run;
    first %= r.run;
    r.width = r.times * (unsigned)r.run;
    if (r.run >= FD_STEP) {
        r.left = r.run - first;
        r.late = row_bit(&r);
    } else if (first) {
        r.left = r.run - first;
        r.late = fd_low_bits(row_bit(&r), (unsigned)r.left);
        r.bit++;
    }
    return r;
}

/* Rows of at least 64 elements: a word spans two of them at most. Only the bits of rows that the
 * first `count` elements belong to are read. */
FD_INLINE uint64_t long_row_word(row_words *r, size_t count) {
    uint64_t w = r->late;
    if (r->left < count) {
        r->bit++;
        r->late = row_bit(r);
        w = fd_low_bits(w, (unsigned)r->left) | r->late << r->left;
        r->left += r->run;
    }
    r->left -= FD_STEP;
    return w;
}

/* Shorter rows: a table maps the bits of the rows in a word to the word. */
FD_INLINE uint64_t short_row_word(row_words *r) {
    uint64_t w = r->late;
    unsigned fill = (unsigned)r->left;
    uint64_t some = fd_bits_before(r->bits, r->end, r->bit, FD_STEP);
    for (; fill < FD_STEP; fill += r->width, r->bit += r->times, some >>= r->times) {
        uint64_t more = r->words[some & ((1U << r->times) - 1)];
        w |= more << fill;
        r->late = more >> 1 >> (63 - fill);
    }
    r->left = fill - FD_STEP;
    return w;
}

#endif
