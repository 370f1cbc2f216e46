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
    fd_mutex busy;  /* held by the caller whose job is running; guards `owed` */
    fd_mutex state; /* guards all the rest */
    fd_cond work, done;
    int started; /* helpers that exist */
    int atfork_registered;
    /* the job: tasks next..tasks-1 are not taken yet, `finished` of them are done */
    size_t next, tasks, finished;
    int width; /* helpers 0..width-1 may take part */
    fd_task_fn *fn;
    void *context;
    double owed; /* seconds of work that callers do alone before they ask helpers again */
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
 * is at most this part of the time. */
enum { PAID_BACK = 25 };

/* Takes tasks until none is left for this helper (the caller is -1), and returns how many it took;
 * called and left with the state locked. A helper that comes late finds no task and touches nothing
 * of the job, whose caller may be gone by then; or it finds the next job. */
static size_t take_tasks(int index) {
    size_t taken = 0;
    while (pool.next < pool.tasks && index < pool.width) {
        size_t task = pool.next++;
        fd_task_fn *fn = pool.fn;
        void *context = pool.context;
        fd_unlock(&pool.state);
        fn(context, task);
        fd_lock(&pool.state);
        taken++;
        if (++pool.finished == pool.tasks) { fd_wake_one(&pool.done); }
    }
    return taken;
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
    pool.next = pool.finished = 0;
    pool.tasks = tasks;
    fd_wake_all(&pool.work);
    double begun = fd_seconds();
    double own = (double)take_tasks(-1), spent = fd_seconds() - begun;
    while (pool.finished < tasks) { fd_wait(&pool.done, &pool.state); }
    pool.next = pool.tasks = 0;
    fd_unlock(&pool.state);
    double lost = fd_seconds() - start - spent / own * (double)tasks;
    if (lost > 0) { pool.owed = PAID_BACK * lost; }
    fd_unlock(&pool.busy);
}
