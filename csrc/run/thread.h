/* Mutex, condition, detached thread and clock: POSIX, or Windows' own. */
#ifndef FD_THREAD_H
#define FD_THREAD_H

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef SRWLOCK fd_mutex;
typedef CONDITION_VARIABLE fd_cond;
#define FD_MUTEX_INIT SRWLOCK_INIT
#define FD_COND_INIT CONDITION_VARIABLE_INIT

static inline void fd_lock(fd_mutex *m) { AcquireSRWLockExclusive(m); }
static inline int fd_try_lock(fd_mutex *m) { return TryAcquireSRWLockExclusive(m); }
static inline void fd_unlock(fd_mutex *m) { ReleaseSRWLockExclusive(m); }
static inline void fd_wait(fd_cond *c, fd_mutex *m) {
    SleepConditionVariableSRW(c, m, INFINITE, 0);
}
static inline void fd_wake_one(fd_cond *c) { WakeConditionVariable(c); }
static inline void fd_wake_all(fd_cond *c) { WakeAllConditionVariable(c); }

static inline double fd_seconds(void) {
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    return (double)ticks.QuadPart / (double)frequency.QuadPart;
}

/* The system counts a thread's own time in steps as long as many calls. */
static inline double fd_thread_seconds(void) { return fd_seconds(); }

#define FD_THREAD_BODY DWORD WINAPI
typedef LPTHREAD_START_ROUTINE fd_thread_fn;

static inline int fd_thread_start(fd_thread_fn fn, void *argument) {
    HANDLE thread = CreateThread(NULL, 0, fn, argument, 0, NULL);
    if (!thread) { return 0; }
    CloseHandle(thread);
    return 1;
}
#else
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L /* signal masks are not in plain C11: include this file first */
#endif
#include <pthread.h>
#include <signal.h>
#include <time.h>

typedef pthread_mutex_t fd_mutex;
typedef pthread_cond_t fd_cond;
#define FD_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define FD_COND_INIT PTHREAD_COND_INITIALIZER

static inline void fd_lock(fd_mutex *m) { pthread_mutex_lock(m); }
static inline int fd_try_lock(fd_mutex *m) { return pthread_mutex_trylock(m) == 0; }
static inline void fd_unlock(fd_mutex *m) { pthread_mutex_unlock(m); }
static inline void fd_wait(fd_cond *c, fd_mutex *m) { pthread_cond_wait(c, m); }
static inline void fd_wake_one(fd_cond *c) { pthread_cond_signal(c); }
static inline void fd_wake_all(fd_cond *c) { pthread_cond_broadcast(c); }

static inline double fd_seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
static inline double fd_seconds(void) { return fd_seconds_of(CLOCK_MONOTONIC); }

/* For which this thread has had a processor. */
static inline double fd_thread_seconds(void) { return fd_seconds_of(CLOCK_THREAD_CPUTIME_ID); }

/* At least: musl gives a thread no more than 128 KB. */
enum { FD_STACK_BYTES = 1 << 20 };

#define FD_THREAD_BODY void *
typedef void *(*fd_thread_fn)(void *);

/* Signals stay with the threads that the program knows of (Python handles them on its first). */
static inline int fd_thread_start(fd_thread_fn fn, void *argument) {
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes)) { return 0; }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    size_t stack = 0;
    pthread_attr_getstacksize(&attributes, &stack);
    if (stack < FD_STACK_BYTES) { pthread_attr_setstacksize(&attributes, FD_STACK_BYTES); }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &attributes, fn, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}
#endif

#endif
