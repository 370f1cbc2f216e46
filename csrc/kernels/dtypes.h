/* Includes FD_BODIES once for each dtype: D is its name, R its compute type, FD_SIZE its bytes. */
#define D f32
#define R r32
#define FD_SIZE 4
#include FD_BODIES
#undef D
#undef R
#undef FD_SIZE

#define D f64
#define R r64
#define FD_SIZE 8
#include FD_BODIES
#undef D
#undef R
#undef FD_SIZE

#define D f16
#define R r32
#define FD_SIZE 2
#include FD_BODIES
#undef D
#undef R
#undef FD_SIZE

#define D bf16
#define R r32
#define FD_SIZE 2
#include FD_BODIES
#undef D
#undef R
#undef FD_SIZE
