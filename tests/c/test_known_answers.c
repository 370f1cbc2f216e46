#define _POSIX_C_SOURCE 200809L /* strtok_r */
/* The known-answer file, by every available instruction set. Its head says what each record holds.
 */
#include "check.h"

#define EACH_ISA \
    for (int isa = 0; isa < fd_isa_count(); isa++) \
        if (!fd_isa_select(isa))

static char *cursor;

static char *word(void) { return strtok_r(NULL, " \n", &cursor); }

static uint64_t number(void) {
    char *text = word();
    return text ? strtoull(text, NULL, 0) : 0;
}

static double as_double(uint64_t bits) {
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static fd_key next_key(int with_offset) {
    fd_key key = {.seed = number()};
    key.stream = number();
    key.offset = with_offset ? number() : 0;
    return key;
}

static fd_draw draw_of(fd_key key) { return fd_draw_make(&key, &(fd_plan){0, 0}); }

static fd_block next_block(void) {
    fd_draw d = draw_of(next_key(0));
    return fd_block_open(&d, number() << 12);
}

static void check_lane(void) {
    fd_block block = next_block();
    unsigned j = (unsigned)number();
    CHECK(fd_seed0(&block, j) == number(), "s0 of lane %u", j);
    CHECK(fd_seed1(&block, j) == number(), "s1 of lane %u", j);
}

static void check_block(void) {
    fd_block block = next_block();
    CHECK(block.a == number(), "A of a block");
    CHECK(block.b == number(), "B of a block");
    CHECK(fd_mix(block.a + 17 * FD_G) == number(), "u of a block");
}

static void check_fields(void) {
    fd_key key = next_key(1);
    fd_draw d = draw_of(key);
    uint16_t expected[16], got[16];
    for (int i = 0; i < 16; i++) { expected[i] = (uint16_t)number(); }
    int past = key.offset > UINT64_MAX - 15; /* the end of the stream, where fd_fields_at ends */
    CHECK(fd_fields_at((int16_t *)got, 16, key.seed, key.stream, key.offset) == -past &&
              (past || !memcmp(got, expected, sizeof got)),
          "fd_fields_at %llu", (unsigned long long)key.offset);
    EACH_ISA {
        fd_active_table()->fields(got, 16, &d);
        CHECK(!memcmp(got, expected, sizeof got), "fields at %llu", (unsigned long long)d.position);
    }
}

static void check_plan(void) {
    fd_plan plan = fd_plan_make(as_double(number()));
    CHECK(plan.threshold == number(), "threshold");
    CHECK(plan.fraction == number(), "fraction");
}

static int same_hex(const char *hex, const uint8_t *data, size_t bytes) {
    int good = strlen(hex) == 2 * bytes;
    for (size_t i = 0; good && i < bytes; i++) {
        unsigned byte;
        good = sscanf(hex + 2 * i, "%2x", &byte) == 1 && byte == data[i];
    }
    return good;
}

/* What every instruction set draws, into `bits`. */
static void check_mask(int digest) {
    fd_key key = next_key(1);
    fd_plan plan = fd_plan_make(as_double(number()));
    size_t n = number(), bytes = (n + 7) / 8;
    char *first = word(), *second = digest ? word() : NULL;
    uint8_t *bits = malloc(bytes + 1);
    EACH_ISA {
        fd_mask_bits(bits, n, &key, &plan);
        if (digest) {
            uint64_t hash = UINT64_C(0xCBF29CE484222325), kept = 0;
            for (size_t i = 0; i < bytes; i++) {
                hash = (hash ^ bits[i]) * UINT64_C(0x100000001B3);
                for (int b = 0; b < 8; b++) { kept += bits[i] >> b & 1; }
            }
            CHECK(kept == strtoull(first, NULL, 0), "kept of %zu", n);
            CHECK(hash == strtoull(second, NULL, 0), "hash of %zu", n);
        } else {
            CHECK(same_hex(first, bits, bytes), "mask of %zu at %llu", n,
                  (unsigned long long)key.offset);
        }
    }
    free(bits);
}

/* The rate of the seeds is given too: it is computed where Python's callers are. */
static void check_blocks(void) {
    fd_key key = next_key(1);
    (void)number(); /* p */
    size_t block = number(), lengths[3];
    fd_blocks blocks = {.planes = number()};
    size_t n = blocks.planes;
    for (int d = 0; d < 3; d++) {
        lengths[d] = number();
        if (lengths[d] && lengths[d] < block) { block = lengths[d]; }
    }
    for (int d = 0; d < 3; d++) {
        blocks.shape[d] = lengths[d] ? lengths[d] : 1;
        blocks.block[d] = lengths[d] ? block : 1;
        n *= blocks.shape[d];
    }
    fd_plan plan = fd_plan_make(as_double(number()));
    size_t bytes = (n + 7) / 8, kept = number();
    char *mask = word();
    guarded bits = guarded_new(bytes, n % 8);
    EACH_ISA {
        guarded_fill(&bits, n);
        CHECK(fd_drop_block_bits(bits.data, &blocks, &key, &plan) == kept,
              "kept of %zu, blocks of %zu", n, block);
        CHECK(same_hex(mask, bits.data, bytes), "blocks of %zu in %zu elements", block, n);
    }
    CHECK(guarded_end(), "drop_block wrote outside its mask");
}

/* Added to -0.0, a variate shows its bits: that of one word, however few words are in its octave.
 */
static void check_normal(void) {
    uint32_t w = (uint32_t)number(), expected = (uint32_t)number(), got;
    const uint16_t fields[] = {(uint16_t)w, (uint16_t)(w >> 16)};
    EACH_ISA {
        float z = -0.0F;
        fd_part part = {.at = {.in = {(char *)&z}, .out = {(char *)&z}},
                        .n = 1,
                        .variates = {.fields = fields},
                        .numbers = {1.0}};
        fd_active_table()->compute[FD_OP_noise_add][FD_f32](&part);
        memcpy(&got, &z, 4);
        CHECK(got == expected, "the variate of %08lx", (unsigned long)w);
    }
}

static void check_variates(void) {
    fd_key key = next_key(1);
    size_t n = number();
    guarded expected = guarded_new(4 * n, 0), got = guarded_new(4 * n, 4);
    for (size_t i = 0; i < n; i++) { ((uint32_t *)(void *)expected.data)[i] = (uint32_t)number(); }
    EACH_ISA {
        for (size_t i = 0; i < n; i++) { ((float *)(void *)got.data)[i] = -0.0F; }
        fd_gaussian_noise(FD_f32, got.data, got.data, n, &key, 1.0);
        CHECK(!memcmp(got.data, expected.data, got.n), "%zu variates at %llu", n,
              (unsigned long long)key.offset);
    }
    CHECK(guarded_end(), "%zu variates: wrote outside", n);
}

/* One kept element, so p = 0: the product's bits in every dtype. */
static void check_multiply(void) {
    static const char *const kinds[] = {"float32", "float64", "float16", "bfloat16"};
    static const fd_key key;
    static const fd_plan plan;
    const char *kind = word();
    int dtype = 0;
    while (strcmp(kind, kinds[dtype])) { dtype++; }
    const size_t size = fd_itemsize((fd_dtype)dtype);
    uint64_t scale = number(), x = number(), y = 0;
    const char *text = word();
    uint64_t expected = strcmp(text, "nan") ? strtoull(text, NULL, 0) : UINT64_MAX;
    float factor;
    memcpy(&factor, low_bytes(&scale, 4), 4);
    EACH_ISA {
        fd_dropout((fd_dtype)dtype, low_bytes(&x, size), low_bytes(&y, size), 1, &key, &plan,
                   dtype == FD_f64 ? as_double(scale) : (double)factor);
        CHECK(same_numbers((fd_dtype)dtype, low_bytes(&y, size), low_bytes(&expected, size), 1),
              "%s 0x%llx times 0x%llx", kind, (unsigned long long)x, (unsigned long long)scale);
    }
}

static void check_record(const char *kind) {
    if (!strcmp(kind, "version")) {
        CHECK(number() == FD_STREAM_VERSION, "the file is of another version of the stream");
    } else if (!strcmp(kind, "mix")) {
        uint64_t z = number();
        CHECK(fd_mix(z) == number(), "mix");
    } else if (!strcmp(kind, "child")) {
        uint64_t stream = number(), i = number();
        CHECK(fd_mix(stream + (i + 1) * FD_G) == number(), "child");
    } else if (!strcmp(kind, "keys")) {
        fd_draw d = draw_of(next_key(0));
        CHECK(d.k0 == number(), "K0");
        CHECK(d.k1 == number(), "K1");
    } else if (!strcmp(kind, "block")) {
        check_block();
    } else if (!strcmp(kind, "lane")) {
        check_lane();
    } else if (!strcmp(kind, "fields")) {
        check_fields();
    } else if (!strcmp(kind, "plan")) {
        check_plan();
    } else if (!strcmp(kind, "mask") || !strcmp(kind, "digest")) {
        check_mask(*kind == 'd');
    } else if (!strcmp(kind, "dropblock")) {
        check_blocks();
    } else if (!strcmp(kind, "normal")) {
        check_normal();
    } else if (!strcmp(kind, "variates")) {
        check_variates();
    } else if (!strcmp(kind, "multiply")) {
        check_multiply();
    } else {
        /* scales are computed where Python's callers are */
        CHECK(!strcmp(kind, "scale"), "unknown record %s", kind);
    }
}

void test_known_answers(const char *path) {
    static char line[65536];
    long before = checks_passed + checks_failed;
    int best = fd_isa_active();
    FILE *file = fopen(path, "r");
    CHECK(file, "cannot open %s", path);
    if (!file) { return; }
    while (fgets(line, sizeof line, file)) {
        if (*line == '#' || *line == '\n') { continue; }
        check_record(strtok_r(line, " \n", &cursor));
    }
    fclose(file);
    fd_isa_select(best);
    CHECK(fd_plan_make(0x1p-81).fraction == 0, "a p too small to drop anything");
    CHECK(checks_passed + checks_failed > before + 100, "%s holds hardly any record", path);
}
