/* Arrays whose neighbours in memory are not neighbours in C order, in tiles: of each line of memory
 * that a tile has, all elements are in it. */
#ifndef FD_TILED_H
#define FD_TILED_H

#include "layout.h"
#include "run.h"

enum { FD_TILE_BUFFERS = 65536 };

/* Computes n elements from the first-th in C order on, which are neighbours in every operand: `at`
 * has where they begin. */
typedef void fd_row_fn(const void *context, size_t first, size_t n, char *const *at);

/* How arrays are cut into tiles: of the last axis and of another one, along which neighbours in
 * memory lie. */
typedef struct fd_tiles {
    const fd_job *job;
    fd_row_fn *row;
    const void *context;
    fd_axes axes; /* merged */
    int direct[FD_OPERANDS];
    int across;           /* the other axis */
    int whole;            /* whether a tile's rows follow on each other in C order */
    size_t rows, columns; /* of a tile; those at the end may have fewer */
} fd_tiles;

/* Cuts where that is worth it, and returns how many tiles there are, or 0. `longest` is the most
 * elements that `row` takes. What comes after `axes` is set here. */
size_t fd_tiles_cut(fd_tiles *t, size_t longest);

/* Computes one tile, by way of `buffers`: a task for the pool. */
void fd_tiles_run(const fd_tiles *t, size_t index, char *buffers);

#endif
