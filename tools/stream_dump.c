/* fd_stream: the raw random stream on standard output, for PractRand or any other test battery.
 *
 *   fields     the 16-bit fields in the order of their positions
 *   seeds      the first fields of one seed after the other, the stream and the position held
 *   streams    the same across streams
 *   decisions  the keep bits at p = 1/2, packed
 *
 * Fields come from the definition in stream.h, decisions from the kernels of the active instruction
 * set: a battery sees what users get. The bytes are the same on every machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#include "stream.h"

enum { BUFFER = 1 << 18, BLOCK_BYTES = 2 * FD_BLOCK };

typedef enum mode { FIELDS, SEEDS, STREAMS, DECISIONS, MODES } mode;

static const char *const mode_names[MODES] = {"fields", "seeds", "streams", "decisions"};

static const char usage[] =
    "usage: fd_stream fields|seeds|streams|decisions [--seed N] [--stream N] [--offset N]\n"
    "                 [--steps N] [--bytes N]\n"
    "Writes the random stream to standard output, until the reader leaves.\n"
    "  --seed N    --stream N    --offset N    where to start (0)\n"
    "  --steps N   seeds, streams: steps of 64 fields of each, 1 to 64 (1)\n"
    "  --bytes N   write N bytes and end\n"
    "Numbers are decimal, or hexadecimal after 0x.\n";

/* Lowest byte first on every machine; compilers make one store of it where that is the order. */
static void put_word(uint8_t *out, uint64_t r) {
    for (unsigned i = 0; i < 8; i++) { out[i] = (uint8_t)(r >> (8 * i)); }
}

/* The first `steps` steps of the block at `position`. */
static void put_steps(uint8_t *out, const fd_draw *d, uint64_t position, unsigned steps) {
    fd_block block = fd_block_open(d, position);
    uint64_t s0[FD_LANES], s1[FD_LANES];
    for (unsigned j = 0; j < FD_LANES; j++) {
        s0[j] = fd_seed0(&block, j);
        s1[j] = fd_seed1(&block, j);
    }
    for (unsigned t = 0; t < steps; t++) {
        for (unsigned j = 0; j < FD_LANES; j++) {
            put_word(out + 8 * (FD_LANES * t + j), fd_next(&s0[j], &s1[j]));
        }
    }
}

/* n fields from the key's offset on. */
static void put_fields(uint8_t *out, const fd_key *key, size_t n) {
    static const fd_plan unused = {0, 0};
    fd_draw d = fd_draw_make(key, &unused);
    uint64_t position = key->offset;
    uint8_t block[BLOCK_BYTES];
    while (n > 0) {
        size_t first = position % FD_BLOCK, count = n < FD_BLOCK - first ? n : FD_BLOCK - first;
        put_steps(block, &d, position, (unsigned)((first + count + FD_STEP - 1) / FD_STEP));
        memcpy(out, block + 2 * first, 2 * count);
        out += 2 * count;
        position += count;
        n -= count;
    }
}

/* Fills the buffer as far as whole pieces go, and moves the key on; returns the bytes. */
static size_t fill(uint8_t *buffer, mode what, fd_key *key, size_t steps) {
    size_t piece = 2 * FD_STEP * steps, pieces = BUFFER / piece;
    fd_plan half = fd_plan_make(0.5);
    switch (what) {
    case DECISIONS:
        fd_mask_bits(buffer, (size_t)8 * BUFFER, key, &half);
        key->offset += (uint64_t)8 * BUFFER;
        return BUFFER;
    case FIELDS:
        put_fields(buffer, key, BUFFER / 2);
        key->offset += BUFFER / 2;
        return BUFFER;
    default:
        for (size_t i = 0; i < pieces; i++) {
            put_fields(buffer + i * piece, key, FD_STEP * steps);
            *(what == SEEDS ? &key->seed : &key->stream) += 1;
        }
        return pieces * piece;
    }
}

static int bad(const char *what, const char *got) {
    fprintf(stderr, "fd_stream: %s, but got %s\n%s", what, got, usage);
    return 2;
}

/* All of `text` as a number; strtoull alone takes signs, blanks and what is too large. */
static int number(const char *text, uint64_t *value) {
    char *end;
    if (!text || text[0] < '0' || text[0] > '9') { return 0; }
    errno = 0;
    int hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    *value = strtoull(text, &end, hexadecimal ? 16 : 10);
    return *end == '\0' && errno == 0;
}

int main(int argc, char **argv) {
    static uint8_t buffer[BUFFER];
    fd_key key = {0, 0, 0};
    uint64_t steps = 1, bytes = UINT64_MAX;
    const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--seed", &key.seed},
                   {"--stream", &key.stream},
                   {"--offset", &key.offset},
                   {"--steps", &steps},
                   {"--bytes", &bytes}};
    enum { OPTIONS = sizeof options / sizeof *options };

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(usage, stdout);
        return 0;
    }
    int what = 0;
    while (what < MODES && (argc < 2 || strcmp(argv[1], mode_names[what]) != 0)) { what++; }
    if (what == MODES) { return bad("a mode has to be named", argc < 2 ? "nothing" : argv[1]); }
    for (int i = 2; i < argc; i += 2) {
        int option = 0;
        while (option < OPTIONS && strcmp(argv[i], options[option].name) != 0) { option++; }
        if (option == OPTIONS) { return bad("an option was expected", argv[i]); }
        const char *text = i + 1 < argc ? argv[i + 1] : NULL;
        if (!number(text, options[option].value)) {
            return bad("an option needs a number below 2^64", text ? text : "nothing");
        }
    }
    if (steps < 1 || steps > FD_STEPS) {
        char got[24];
        snprintf(got, sizeof got, "%llu", (unsigned long long)steps);
        return bad("--steps has to be between 1 and 64", got);
    }

#ifdef _WIN32
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    fd_set_num_threads(1); /* the battery can use the other processors */
    while (bytes > 0) {
        size_t filled = fill(buffer, (mode)what, &key, (size_t)steps);
        if (filled > bytes) { filled = (size_t)bytes; }
        if (fwrite(buffer, 1, filled, stdout) != filled) { break; }
        if (bytes != UINT64_MAX) { bytes -= filled; }
    }
    /* A reader that has seen enough is no error, where its leaving does not end this at once. */
    if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE) {
        perror("fd_stream");
        return 1;
    }
    return 0;
}
