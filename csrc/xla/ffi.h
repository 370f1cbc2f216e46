/* XLA's foreign function interface, as far as the handler in handler.c uses it: binary layouts
 * alone, so that building needs no jaxlib. They are the same in versions 0.1 to 0.5 of the
 * interface (jaxlib 0.5 to 0.12), which only added members behind these.
 *
 * A frame describes one call: arguments, results and attributes, each an array of kinds and one of
 * addresses, and an arena of functions that XLA offers. Attributes are sorted by name. */
#ifndef FD_XLA_FFI_H
#define FD_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

#define FD_XLA_MAJOR 0
#define FD_XLA_OLDEST_MINOR 1
#define FD_XLA_NEWEST_MINOR 5

/* What may hang on any struct; the only kind that is used asks for the handler's metadata. */
typedef struct fd_xla_extension {
    size_t size;
    int kind;
    struct fd_xla_extension *next;
} fd_xla_extension;

enum { FD_XLA_METADATA = 1 };

typedef struct fd_xla_version {
    size_t size;
    fd_xla_extension *extension;
    int major, minor;
} fd_xla_version;

typedef struct fd_xla_metadata {
    size_t size;
    fd_xla_version version; /* the handler's: XLA compares it with its own */
    uint32_t traits;
} fd_xla_metadata;

typedef struct fd_xla_metadata_extension {
    fd_xla_extension base;
    fd_xla_metadata *metadata;
} fd_xla_metadata_extension;

/* An error is XLA's; a handler that returns one gives it back. NULL is success. */
typedef struct fd_xla_error fd_xla_error;

enum { FD_XLA_INVALID_ARGUMENT = 3, FD_XLA_RESOURCE_EXHAUSTED = 8 };

typedef struct fd_xla_error_args {
    size_t size;
    fd_xla_extension *extension;
    const char *message;
    int code;
} fd_xla_error_args;

typedef struct fd_xla_api {
    size_t size;
    fd_xla_extension *extension;
    fd_xla_version version;
    const void *internal;
    fd_xla_error *(*error)(fd_xla_error_args *);
} fd_xla_api;

/* Element types, by XLA's numbers. */
enum {
    FD_XLA_S32 = 4,
    FD_XLA_S64 = 5,
    FD_XLA_U32 = 8,
    FD_XLA_F16 = 10,
    FD_XLA_F32 = 11,
    FD_XLA_F64 = 12,
    FD_XLA_BF16 = 16
};

typedef struct fd_xla_buffer {
    size_t size;
    fd_xla_extension *extension;
    int dtype;
    void *data;
    int64_t rank;
    const int64_t *dims;
} fd_xla_buffer;

typedef struct fd_xla_span {
    const char *data;
    size_t n;
} fd_xla_span;

typedef struct fd_xla_array {
    int dtype;
    size_t n;
    const void *data;
} fd_xla_array;

/* Kinds of arguments and results, and of attributes. */
enum { FD_XLA_BUFFER = 1 };
enum { FD_XLA_ARRAY = 1, FD_XLA_STRING = 4 };

/* Arguments, and results. */
typedef struct fd_xla_buffers {
    size_t size;
    fd_xla_extension *extension;
    int64_t n;
    const int *kinds;
    void **values;
} fd_xla_buffers;

typedef struct fd_xla_attributes {
    size_t size;
    fd_xla_extension *extension;
    int64_t n;
    const int *kinds;
    fd_xla_span **names;
    void **values;
} fd_xla_attributes;

typedef struct fd_xla_frame {
    size_t size;
    fd_xla_extension *extension;
    const fd_xla_api *api;
    void *context;
    int stage;
    fd_xla_buffers arguments, results;
    fd_xla_attributes attributes;
} fd_xla_frame;

/* One element-wise operation on CPUs, which src/fastdrop/jax calls. */
fd_xla_error *fd_xla_handler(fd_xla_frame *frame);

#endif
