/* The pieces of the stream on one page: numbers that were worked out elsewhere. */
#include "check.h"
#include "stream.h"

void test_stream(void) {
    /* SplitMix64 from state 1234567, its published first outputs: mix(state + (i + 1) * G). */
    static const uint64_t outputs[] = {
        UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
        UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
        UINT64_C(16408922859458223821),
    };
    for (unsigned i = 0; i < 5; i++) {
        CHECK(fd_mix(1234567 + (i + 1) * FD_G) == outputs[i], "SplitMix64's output %u", i);
    }
    CHECK(fd_field(UINT64_C(0x8000), 0) == -32768, "a field is signed");
    CHECK(fd_field(UINT64_C(0x7FFF) << 48, 3) == 32767, "field 3 is the highest");

    fd_plan plan = fd_plan_make(0.1);
    CHECK(plan.threshold == 6553, "floor(6553.6), not %u", plan.threshold);
    /* 6553.6 is no binary64: what follows 6553 is 0.6000000000003638 */
    CHECK(plan.fraction == UINT64_C(11068046444232441856), "0.6 of 2^64, not %llu",
          (unsigned long long)plan.fraction);
    plan = fd_plan_make(1.0);
    CHECK(plan.threshold == 65536 && plan.fraction == 0, "p = 1");
    plan = fd_plan_make(0x1p-80);
    CHECK(plan.threshold == 0 && plan.fraction == 1, "the smallest p that drops");
    plan = fd_plan_make(0x1p-81);
    CHECK(plan.threshold == 0 && plan.fraction == 0, "below it nothing is dropped");
}
