#define _POSIX_C_SOURCE 200809L /* strtok_r */
/* The known-answer file, by every available instruction set. Its head says what each record holds.
 */
#include "check.h"
#include "cpu/dispatch.h"

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

static fd_key key_of_record(void) {
    fd_key key;
    key.seed = number();
    key.stream = number();
    key.offset = number();
    return key;
}

static void check_lane(void) {
    fd_key key = {number(), number(), 0};
    fd_plan plan = {0, 0};
    fd_draw d = fd_draw_make(&key, &plan);
    fd_block block = fd_block_open(&d, number() << 12);
    unsigned j = (unsigned)number();
    CHECK(fd_seed0(&block, j) == number(), "s0 of lane %u", j);
    CHECK(fd_seed1(&block, j) == number(), "s1 of lane %u", j);
}

static void check_block(void) {
    fd_key key = {number(), number(), 0};
    fd_plan plan = {0, 0};
    fd_draw d = fd_draw_make(&key, &plan);
    fd_block block = fd_block_open(&d, number() << 12);
    CHECK(block.a == number(), "A of a block");
    CHECK(block.b == number(), "B of a block");
    CHECK(fd_mix(block.a + 17 * FD_G) == number(), "u of a block");
}

static void check_fields(void) {
    fd_key key = key_of_record();
    fd_plan plan = {0, 0};
    fd_draw d = fd_draw_make(&key, &plan);
    for (unsigned i = 0; i < 16; i++) {
        uint64_t e = key.offset + i, r = 0;
        fd_block block = fd_block_open(&d, e);
        unsigned lane = e >> 2 & 15;
        uint64_t s0 = fd_seed0(&block, lane), s1 = fd_seed1(&block, lane);
        for (unsigned t = 0; t <= (e >> 6 & 63); t++) { r = fd_next(&s0, &s1); }
        CHECK((uint16_t)fd_field(r, e & 3) == number(), "field at %llu", (unsigned long long)e);
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
    fd_key key = key_of_record();
    fd_plan plan = fd_plan_make(as_double(number()));
    size_t n = number(), bytes = (n + 7) / 8;
    char *first = word(), *second = digest ? word() : NULL;
    uint8_t *bits = malloc(bytes + 1);
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        fd_mask_bits(bits, n, &key, &plan);
        if (digest) {
            uint64_t hash = UINT64_C(0xCBF29CE484222325), kept = 0;
            for (size_t i = 0; i < bytes; i++) {
                hash = (hash ^ bits[i]) * UINT64_C(0x100000001B3);
                for (int b = 0; b < 8; b++) { kept += bits[i] >> b & 1; }
            }
            CHECK(kept == strtoull(first, NULL, 0), "%s: kept of %zu", fd_isa_name(isa), n);
            CHECK(hash == strtoull(second, NULL, 0), "%s: hash of %zu", fd_isa_name(isa), n);
        } else {
            CHECK(same_hex(first, bits, bytes), "%s: mask of %zu at %llu", fd_isa_name(isa), n,
                  (unsigned long long)key.offset);
        }
    }
    free(bits);
}

/* The rate of the seeds is given too: it is computed where Python's callers are. */
static void check_blocks(void) {
    fd_key key = key_of_record();
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
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        guarded_fill(&bits, n);
        CHECK(fd_drop_block_bits(bits.data, &blocks, &key, &plan) == kept,
              "%s: kept of %zu, blocks of %zu", fd_isa_name(isa), n, block);
        CHECK(same_hex(mask, bits.data, bytes), "%s: blocks of %zu in %zu elements",
              fd_isa_name(isa), block, n);
    }
    CHECK(guarded_intact(&bits), "drop_block wrote outside its mask");
    guarded_free(&bits);
}

/* Added to -0.0, a variate shows its bits: that of one word, however few words are in its octave.
 */
static void check_normal(void) {
    uint32_t w = (uint32_t)number(), expected = (uint32_t)number(), got;
    const uint16_t fields[] = {(uint16_t)w, (uint16_t)(w >> 16)};
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        const fd_table *table = fd_table_at(isa);
        if (!table) { continue; }
        float z = -0.0F;
        fd_part part = {.at = {{(char *)&z}, {(char *)&z}},
                        .n = 1,
                        .variates = {.fields = fields},
                        .numbers = {1.0}};
        table->compute[FD_OP_noise_add][FD_f32](&part);
        memcpy(&got, &z, 4);
        CHECK(got == expected, "%s: the variate of %08lx", table->name, (unsigned long)w);
    }
}

static void check_variates(void) {
    enum { MOST = 65 };
    fd_key key = key_of_record();
    size_t n = number();
    uint32_t expected[MOST];
    for (size_t i = 0; i < n && i < MOST; i++) { expected[i] = (uint32_t)number(); }
    CHECK(n <= MOST, "%zu variates are too many", n);
    for (int isa = 0; isa < fd_isa_count() && n <= MOST; isa++) {
        if (fd_isa_select(isa)) { continue; }
        float z[MOST];
        for (size_t i = 0; i < n; i++) { z[i] = -0.0F; }
        fd_gaussian_noise(FD_f32, z, z, n, &key, 1.0);
        CHECK(!memcmp(z, expected, n * sizeof *z), "%s: %zu variates at %llu", fd_isa_name(isa), n,
              (unsigned long long)key.offset);
    }
}

/* One kept element, so p = 0: the product's bits in every dtype. */
static void check_multiply(void) {
    static const char *const kinds[] = {"float32", "float64", "float16", "bfloat16"};
    static const uint64_t infinities[] = {0x7F800000, UINT64_C(0x7FF0000000000000), 0x7C00, 0x7F80};
    const char *kind = word();
    int dtype = 0;
    while (strcmp(kind, kinds[dtype])) { dtype++; }
    uint64_t scale_bits = number(), x_bits = number(), y_bits = 0;
    char *expected = word();
    float f;
    uint32_t low = (uint32_t)scale_bits, x32 = (uint32_t)x_bits, y32;
    uint16_t x16 = (uint16_t)x_bits, y16;
    memcpy(&f, &low, 4);
    fd_key key = {0, 0, 0};
    fd_plan plan = fd_plan_make(0.0);
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        if (dtype == FD_f64) {
            fd_dropout(FD_f64, &x_bits, &y_bits, 1, &key, &plan, as_double(scale_bits));
        } else if (dtype == FD_f32) {
            fd_dropout(FD_f32, &x32, &y32, 1, &key, &plan, f);
            y_bits = y32;
        } else {
            fd_dropout((fd_dtype)dtype, &x16, &y16, 1, &key, &plan, f);
            y_bits = y16;
        }
        uint64_t sign = UINT64_C(1) << (dtype == FD_f64 ? 63 : dtype == FD_f32 ? 31 : 15);
        uint64_t magnitude = y_bits & (sign - 1);
        int good = strcmp(expected, "nan") ? y_bits == strtoull(expected, NULL, 0)
                                           : magnitude > infinities[dtype];
        CHECK(good, "%s: %s 0x%llx times 0x%llx", fd_isa_name(isa), kind,
              (unsigned long long)x_bits, (unsigned long long)scale_bits);
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
        fd_key key = {number(), number(), 0};
        fd_plan plan = {0, 0};
        fd_draw d = fd_draw_make(&key, &plan);
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
    CHECK(checks_passed + checks_failed > before + 100, "%s holds hardly any record", path);
}
