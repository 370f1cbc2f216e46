/* Functions for code outside: they give what the others give, and refuse what numbers tell. */
#include <math.h>

#include "check.h"
#include "stream.h"

enum { N = 9999 };

static void gives_what_others_give(fd_key key, double p) {
    fd_plan plan = fd_plan_make(p);
    guarded x = guarded_random(N * sizeof(float), 4, key.offset);
    guarded y = guarded_new(N * sizeof(float), 4);
    guarded bits = guarded_new((N + 7) / 8, 1), wanted = guarded_new(N * sizeof(float), 4);
    guarded fields = guarded_new(N * sizeof(int16_t), 2);
    uint64_t seed = key.seed, stream = key.stream, offset = key.offset;

    CHECK(fd_dropout_at(FD_f32, x.data, y.data, N, p, seed, stream, offset) == 0, "p = %g", p);
    fd_dropout(FD_f32, x.data, wanted.data, N, &key, &plan, p < 1 ? fd_scale_make(FD_f32, p) : 1);
    CHECK(same_numbers(FD_f32, y.data, wanted.data, N), "dropout_at, p = %g", p);

    CHECK(fd_mask_bits_at(bits.data, N, p, seed, stream, offset) == 0, "p = %g", p);
    fd_mask_bits(wanted.data, N, &key, &plan);
    CHECK(memcmp(bits.data, wanted.data, bits.n) == 0, "mask_bits_at, p = %g", p);

    CHECK(fd_mask_bool_at(y.data, N, p, seed, stream, offset) == 0, "p = %g", p);
    fd_mask_bool(wanted.data, N, &key, &plan);
    CHECK(memcmp(y.data, wanted.data, N) == 0, "mask_bool_at, p = %g", p);

    CHECK(fd_fields_at((int16_t *)fields.data, N, seed, stream, offset) == 0, "fields");
    fd_draw draw = fd_draw_make(&key, &plan);
    long differ = 0;
    for (size_t i = 0; i < N; i++) {
        int16_t field;
        memcpy(&field, fields.data + 2 * i, 2);
        differ += (field >= fd_block_open(&draw, offset + i).threshold) != wanted.data[i];
    }
    CHECK(differ == 0, "%ld fields decide otherwise than the mask, p = %g", differ, p);

    CHECK(guarded_end(), "written outside, p = %g", p);
}

static void refused(int dtype, double p, uint64_t offset) {
    float x[16];
    uint8_t mask[16];
    for (size_t i = 0; i < 16; i++) { x[i] = 3, mask[i] = 2; }
    CHECK(fd_dropout_at(dtype, x, x, 16, p, 1, 0, offset) == -1, "dtype %d, p = %g", dtype, p);
    if (dtype == FD_f32) {
        CHECK(fd_mask_bits_at(mask, 16, p, 1, 0, offset) == -1, "bits, p = %g", p);
        CHECK(fd_mask_bool_at(mask, 16, p, 1, 0, offset) == -1, "bool, p = %g", p);
    }
    for (size_t i = 0; i < 16; i++) { CHECK(x[i] == 3 && mask[i] == 2, "written at %zu", i); }
}

void test_api(void) {
    static const double probabilities[] = {0, 0.1, 0.5, 1};
    for (size_t i = 0; i < COUNT(probabilities); i++) {
        gives_what_others_give((fd_key){1, 2, 4095}, probabilities[i]);
        gives_what_others_give((fd_key){UINT64_MAX, UINT64_MAX, UINT64_MAX - N + 1},
                               probabilities[i]);
    }
    refused(FD_DTYPE_COUNT, 0.5, 0);
    refused(-1, 0.5, 0);
    refused(FD_f32, -0x1p-1074, 0);
    refused(FD_f32, 1 + 0x1p-52, 0);
    refused(FD_f32, (double)NAN, 0);
    refused(FD_f32, 0.5, UINT64_MAX - 14);
    int16_t field = 3;
    CHECK(fd_fields_at(&field, 2, 1, 0, UINT64_MAX) == -1 && field == 3, "fields pass the end");
    CHECK(fd_dropout_at(FD_f32, NULL, NULL, 0, 0.5, 1, 0, UINT64_MAX) == 0, "nothing at the end");
    CHECK(fd_api_table.size == sizeof(fd_api) && fd_api_table.fields_at == fd_fields_at, "table");
}
