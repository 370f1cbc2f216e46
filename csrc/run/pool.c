/* The pool: threads are started on first use, wait on a condition, and hold nothing else. libgomp
 * hangs in a forked child after a parallel region in the parent, and fights PyTorch's copy of
 * itself; this pool is forgotten by a forked child, which starts its own when it needs one. */
#include "thread.h"

#include <stdint.h>
#include <string.h>

#include "fastdrop.h"
#include "pool.h"
#include "shared.h"

static struct pool {
    fd_mutex busy;  /* held by the caller whose job is running; guards `owed`, `losses` */
    fd_mutex state; /* guards all the rest */
    fd_cond work, done;
    int started; /* helpers that exist */
    int atfork_registered;
    /* the job: tasks next..tasks-1 are not taken yet, `taking` threads are at some of the others */
    size_t next, tasks;
    int taking, width; /* helpers 0..width-1 may take part */
    fd_task_fn *fn;
    void *context;
    double worked; /* seconds of processors that went into tasks, by those who have left the job */
    double owed;   /* seconds of work that callers do alone before they ask helpers again */
    int losses;    /* calls that helpers made longer, less those that they made shorter */
} pool = {
    .busy = FD_MUTEX_INIT, .state = FD_MUTEX_INIT, .work = FD_COND_INIT, .done = FD_COND_INIT};

#if !defined(_WIN32)
static void forget_in_child(void) {
    /* The parent's helpers do not exist here, and its locks may be held by threads that do not. */
    memset(&pool, 0, sizeof pool);
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.state, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.atfork_registered = 1; /* registrations are inherited */
}
#endif

/* A call that helpers have made longer is paid for by so much work without them: all that is lost
 * is at most this part of the time. Where one such call follows on another it is twice as much each
 * time, up to MOST_DOUBLED times; what is left of a processor that others use is hardly worth
 * trying for. */
enum { PAID_BACK = 25, MOST_DOUBLED = 4 };

/* Takes tasks until none is left, as helper `index`, or, with -1, as the caller; called and left
 * with the state locked. A helper that comes late finds no task and touches nothing of the job,
 * whose caller may be gone by then; or it finds the next job. */
static void take_tasks(int index) {
    if (pool.next >= pool.tasks || index >= pool.width) { return; }
    fd_task_fn *fn = pool.fn;
    void *context = pool.context;
    double begun = fd_thread_seconds();
    pool.taking++;
    while (pool.next < pool.tasks) {
        size_t task = pool.next++;
        fd_unlock(&pool.state);
        fn(context, task);
        fd_lock(&pool.state);
    }
    pool.worked += fd_thread_seconds() - begun;
    if (!--pool.taking) { fd_wake_one(&pool.done); }
}

static FD_THREAD_BODY helper(void *argument) {
    int index = (int)(intptr_t)argument;
    fd_lock(&pool.state);
    for (;;) {
        take_tasks(index);
        fd_wait(&pool.work, &pool.state);
    }
    return 0;
}

static void start_helpers(int wanted) {
#if !defined(_WIN32)
    if (!pool.atfork_registered) {
        if (pthread_atfork(NULL, NULL, forget_in_child)) { return; }
        pool.atfork_registered = 1;
    }
#endif
    while (pool.started < wanted && fd_thread_start(helper, (void *)(intptr_t)pool.started)) {
        pool.started++;
    }
}

static FD_PER_THREAD int limit; /* 0: none */

int fd_limit_threads(int n) {
    int before = limit;
    limit = n > 0 ? n : 0;
    return before;
}

static void run_alone(size_t tasks, fd_task_fn *fn, void *context) {
    for (size_t task = 0; task < tasks; task++) { fn(context, task); }
}

/* What the tasks took of all processors together is about what the caller would have taken alone:
 * unless they ran beside each other, nothing is gained. (A helper that is woken on the caller's own
 * processor because all others are in use does the caller's work in its place.) */
static void settle(double lost) {
    if (lost > 0) {
        pool.owed = PAID_BACK * lost * (1 << pool.losses);
        if (pool.losses < MOST_DOUBLED) { pool.losses++; }
    } else if (pool.losses) {
        pool.losses--;
    }
}

void fd_pool_forgive(void) {
    fd_lock(&pool.busy);
    pool.owed = 0;
    pool.losses = 0;
    fd_unlock(&pool.busy);
}

void fd_pool_run(size_t tasks, int threads, fd_task_fn *fn, void *context) {
    if (limit && threads > limit) { threads = limit; }
    if (tasks < 2 || threads < 2 || !fd_try_lock(&pool.busy)) {
        run_alone(tasks, fn, context);
        return;
    }
    double start = fd_seconds();
    if (pool.owed > 0) {
        run_alone(tasks, fn, context);
        pool.owed -= fd_seconds() - start;
        fd_unlock(&pool.busy);
        return;
    }
    fd_lock(&pool.state);
    start_helpers(threads - 1);
    pool.width = threads - 1;
    pool.fn = fn;
    pool.context = context;
    pool.next = 0;
    pool.tasks = tasks;
    pool.worked = 0;
    fd_wake_all(&pool.work);
    take_tasks(-1);
    while (pool.taking) { fd_wait(&pool.done, &pool.state); }
    pool.next = pool.tasks = 0;
    double worked = pool.worked;
    fd_unlock(&pool.state);
    settle(fd_seconds() - start - worked);
    fd_unlock(&pool.busy);
}
