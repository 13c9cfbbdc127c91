// Lets ThreadSanitizer see a Mutex of Swift's Synchronization that was waited for.
//
// Its fast path is compiled into our code, where the sanitizer sees the atomics. Its slow path is in a library that was
// not built with the sanitizer, and there the kernel hands the lock on: without this, whoever waited for a lock seems
// never to have taken it, and everything under it is reported as a race. The two functions stand before the library's
// (an executable's symbols are found first), do the library's work and tell of it. Their names are part of the
// library's stable ABI: Synchronization._MutexHandle._lockSlow(Swift.UInt32) and ._unlockSlow().

#include "CSanitizedMutex.h"

#if !__has_feature(thread_sanitizer)

bool sanitizes_threads(void) { return false; }

#else

bool sanitizes_threads(void) { return true; }

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

#define HANDLE __attribute__((swift_context)) void *handle

typedef void lock_function(uint32_t thread, HANDLE) __attribute__((swiftcall));
typedef void unlock_function(HANDLE) __attribute__((swiftcall));

void __tsan_acquire(void *address);
void __tsan_release(void *address);

static lock_function *library_lock;
static unlock_function *library_unlock;

// Before any thread can wait for a lock.
__attribute__((constructor)) static void find_library(void) {
    library_lock = (lock_function *)dlsym(RTLD_NEXT, LOCK);
    library_unlock = (unlock_function *)dlsym(RTLD_NEXT, UNLOCK);
    if (library_lock == NULL || library_unlock == NULL) abort();
}

lock_function sanitized_lock __asm__(LOCK);
unlock_function sanitized_unlock __asm__(UNLOCK);

__attribute__((swiftcall)) void sanitized_lock(uint32_t thread, HANDLE) {
    library_lock(thread, handle);
    __tsan_acquire(handle);
}

__attribute__((swiftcall)) void sanitized_unlock(HANDLE) {
    __tsan_release(handle);
    library_unlock(handle);
}

// A continuation that is resumed before it is awaited is handed over within Swift's runtime, unseen as well. In the tests'
// servers a thread of Foundation's does that with an object it has just made.
const char *__tsan_default_suppressions(void) { return "race:PGMQWorker12ChildProcess\n"; }

#endif
