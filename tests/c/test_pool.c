/* The pool under callers that come at once, change its size meanwhile, and fork in the middle. */
#include "run/thread.h"

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "run/pool.h"
#include "run/share.h"

#if defined(__SANITIZE_THREAD__)
#define FD_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FD_UNDER_TSAN 1
#endif
#endif

enum { CALLERS = 4, CALLS = 12, ELEMENTS = 1100 * 1000 + 13 };

static const fd_key key = {21, 22, 23};
static float input[ELEMENTS], expected[ELEMENTS];

static int call_once(float *output) {
    fd_plan plan = fd_plan_make(0.25);
    memset(output, 0x33, ELEMENTS * sizeof *output);
    fd_dropout(FD_f32, input, output, ELEMENTS, &key, &plan, 2.0);
    return !memcmp(output, expected, ELEMENTS * sizeof *output);
}

static void *caller(void *argument) {
    int *good = argument;
    float *output = malloc(ELEMENTS * sizeof *output);
    for (int i = 0; i < CALLS; i++) {
        fd_set_num_threads(1 + i % 4);
        fd_pool_forgive();
        *good += call_once(output);
    }
    free(output);
    return NULL;
}

/* A child has none of its parent's helpers, and must neither miss nor wait for them. */
static int child_computes_the_same(void) {
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a child that hangs is killed, and that is seen below */
        float *output = malloc(ELEMENTS * sizeof *output);
        fd_set_num_threads(3);
        _exit(call_once(output) && call_once(output) ? 0 : 1);
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* How many threads take part is seen from who runs the tasks: one that is slow leaves the others to
 * the helpers. */
enum { TASKS = 24 };

static pthread_t ran_on[TASKS];

/* Of a processor: where several threads have to share one, it takes longer. */
static void compute_for(double seconds) {
    double begun = fd_thread_seconds();
    while (fd_thread_seconds() - begun < seconds) {}
}

static void note_thread(void *context, size_t task) {
    (void)context;
    ran_on[task] = pthread_self();
    compute_for(1e-3);
}

static int threads_used(int wanted) {
    int used = 0;
    fd_pool_run(TASKS, wanted, note_thread, NULL);
    for (int i = 0; i < TASKS; i++) {
        int seen = 0;
        for (int j = 0; j < i; j++) { seen |= pthread_equal(ran_on[i], ran_on[j]); }
        used += !seen;
    }
    return used;
}

static void test_limit(void) {
    CHECK(fd_limit_threads(1) == 0, "there is no limit at first");
    CHECK(threads_used(4) == 1, "a limit of 1 keeps everything on the caller");
    CHECK(fd_limit_threads(2) == 1, "the limit that was is told");
    CHECK(threads_used(4) <= 2, "a limit of 2");
    CHECK(fd_limit_threads(-1) == 2 && fd_limit_threads(0) == 0, "less than 1 is no limit");
    CHECK(threads_used(3) <= 3, "no limit");
}

/* Helpers that are kept from their processors gain nothing: the next calls leave them alone, and
 * after some work they are asked again. */
static pthread_t main_thread;

static void helpers_sleep(void *context, size_t task) {
    struct timespec pause = {0, 20000000};
    (void)context;
    ran_on[task] = pthread_self();
    if (pthread_equal(ran_on[task], main_thread)) {
        compute_for(2e-4);
    } else {
        nanosleep(&pause, NULL);
    }
}

static void test_slow_helpers(void) {
    main_thread = pthread_self();
    int helped = 0, calls = 0;
    for (; !helped && calls < 200; calls++) {
        fd_pool_forgive();
        fd_pool_run(TASKS, 2, helpers_sleep, NULL);
        for (int i = 0; i < TASKS; i++) { helped |= !pthread_equal(ran_on[i], main_thread); }
    }
    CHECK(helped, "a helper is never asked");
    CHECK(threads_used(2) == 1, "a helper that was kept from its processor is asked again at once");
    for (calls = 0; calls < 1000 && threads_used(2) == 1; calls++) {}
    CHECK(calls < 1000, "a helper that was kept from its processor once is never asked again");
}

/* What a call says of its outputs holds wherever its shares run, and not longer than they do. */
static int fresh_in[TASKS];

static void note_outputs(const void *context, size_t first, size_t end) {
    (void)context;
    for (; first < end; first++) {
        fresh_in[first] = !fd_prefetches_outputs();
        compute_for(1e-3);
    }
}

static void test_fresh_outputs(void) {
    for (int threads = 1; threads <= 3; threads++) {
        fd_set_num_threads(threads);
        for (int fresh = 0; fresh < 2; fresh++) {
            int shares = 0, before = fd_fresh_outputs(fresh);
            fd_pool_forgive();
            fd_share_tasks(TASKS, SIZE_MAX / 2, note_outputs, NULL);
            for (int i = 0; i < TASKS; i++) { shares += fresh_in[i] == fresh; }
            CHECK(shares == TASKS, "%d of %d shares know that outputs are new: %d", shares, TASKS,
                  fresh);
            CHECK(fd_fresh_outputs(before) == fresh, "a share changes what its caller has said");
        }
    }
    fd_set_num_threads(1);
    CHECK(fd_prefetches_outputs(), "outputs are not new unless it is said");
}

/* Every operation and dtype: neighbours, a matrix transposed into another, and one into a dense one
 * with its axes in another order. */
enum { SIDE = 72, STACK = 256 * 1024 };

static void *call_everything(void *unused) {
    static _Alignas(8) char from[2][2 * SIDE * SIDE * 8], to[2][2 * SIDE * SIDE * 8];
    for (int op = 0; op < FD_OPERATION_COUNT; op++) {
        int reads = fd_operation_reads(op), operands = fd_operation_operands(op);
        for (int way = 0; way < 3 * FD_DTYPE_COUNT; way++) {
            fd_call call = {.operation = (fd_operation)op,
                            .dtype = (fd_dtype)(way / 3),
                            .axes = {.ndim = 2, .operands = operands, .shape = {2 * SIDE, SIDE}},
                            .drawn = 1,
                            .key = key,
                            .plan = fd_plan_make(0.25),
                            .numbers = {2, 1, 1},
                            .act = way % 2 ? FD_ACT_GELU : FD_ACT_RELU,
                            .bias = {from[1], SIDE, 0}};
            ptrdiff_t size = (ptrdiff_t)fd_itemsize(call.dtype);
            for (int i = 0; i < operands; i++) {
                int turned = way % 3 == 2 || (way % 3 == 1 && i < reads);
                call.at[i] = i < reads ? from[i] : to[i - reads];
                call.axes.strides[i][0] = turned ? size : SIDE * size;
                call.axes.strides[i][1] = turned ? 2 * SIDE * size : size;
            }
            call.axes.steps[0] = SIDE;
            call.axes.steps[1] = 1;
            fd_run(&call);
        }
    }
    return unused;
}

/* What fastdrop.h says of the stack. Sanitizers and unoptimised code take more. */
static void test_stack(void) {
#if defined(__OPTIMIZE__) && !defined(FD_SANITIZED)
    size_t streaming = fd_get_streaming_bytes();
    pthread_attr_t attributes;
    pthread_t thread;
    fd_set_num_threads(1);
    fd_set_streaming_bytes(1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    int failed = pthread_create(&thread, &attributes, call_everything, NULL);
    CHECK(!failed, "a thread with %d bytes of stack", STACK);
    if (!failed) { pthread_join(thread, NULL); }
    pthread_attr_destroy(&attributes);
    fd_set_streaming_bytes(streaming);
#else
    (void)call_everything;
    printf("how much stack a call takes: not with sanitizers, and not unoptimised\n");
#endif
}

void test_pool(void) {
    test_stack();
    test_limit();
    test_fresh_outputs();
    test_slow_helpers();
    fd_plan plan = fd_plan_make(0.25);
    for (int i = 0; i < ELEMENTS; i++) { input[i] = (float)(i % 1000); }
    fd_set_num_threads(1);
    fd_dropout(FD_f32, input, expected, ELEMENTS, &key, &plan, 2.0);
    pthread_t threads[CALLERS];
    int good[CALLERS] = {0}, forks = 0;
    for (int i = 0; i < CALLERS; i++) { pthread_create(&threads[i], NULL, caller, &good[i]); }
#if !defined(FD_UNDER_TSAN)
    if (getenv("FD_TEST_EMULATED")) {
        printf("forks in the middle of parallel work: not under an emulator\n");
    } else {
        for (int i = 0; i < 5; i++) { forks += child_computes_the_same(); }
        CHECK(forks == 5, "%d of 5 forked children computed the same", forks);
    }
#else
    (void)forks; /* ThreadSanitizer does not follow a fork of several threads */
    (void)child_computes_the_same;
    printf("forks in the middle of parallel work: not under ThreadSanitizer\n");
#endif
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(good[i] == CALLS, "caller %d: %d of %d calls gave the same bits", i, good[i], CALLS);
    }
    fd_set_num_threads(1);
}
