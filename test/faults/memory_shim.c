/* Loaded before a program: memory of tensors (posix_memalign, called by libc10) is refused in a process P for which the
   file $REGATTA_TEST_NO_MEMORY.P exists. Other libraries are left alone: oneDNN crashes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*memalign_call)(void**, size_t, size_t);

int posix_memalign(void** memory, size_t alignment, size_t size) {
  static memalign_call next = NULL;
  if (next == NULL) {
    *(void**)&next = dlsym(RTLD_NEXT, "posix_memalign");
  }
  const char* prefix = getenv("REGATTA_TEST_NO_MEMORY");
  Dl_info caller;
  if (prefix != NULL) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%ld", prefix, (long)getpid());
    if (access(path, F_OK) == 0 && dladdr(__builtin_return_address(0), &caller) != 0 &&
        strstr(caller.dli_fname, "libc10") != NULL) {
      return ENOMEM;
    }
  }
  return next(memory, alignment, size);
}
