/* Frames of C code without stack probes, as `cc` builds them: gcc and clang probe only with
   -fstack-clash-protection. The tests of foreign_frames.rs call these on goroutines. */
#include <stddef.h>

typedef void (*inside_fn)(void *arg, char *bytes, size_t len);

enum { UP, DOWN, ENDS, LOW_END };

static char expected(size_t at) { return (char)(at * 31 + (at >> 12)); }

/* A frame of `len` bytes, filled in some order; `inside` is called while it lives. Returns how many
   of its bytes have changed, or -1 if that is none of its business. */
__attribute__((noinline)) long frame(size_t len, int order, inside_fn inside, void *arg)
{
    volatile char bytes[len];
    size_t at;
    switch (order) {
    case UP:
        for (at = 0; at < len; at++) bytes[at] = expected(at);
        break;
    case DOWN:
        for (at = len; at-- > 0;) bytes[at] = expected(at);
        break;
    case ENDS:
        for (at = 0; at < len / 2; at++) {
            bytes[at] = expected(at);
            bytes[len - 1 - at] = expected(len - 1 - at);
        }
        bytes[len / 2] = expected(len / 2);
        break;
    case LOW_END:
        bytes[0] = expected(0);
        break;
    }
    if (inside) inside(arg, (char *)bytes, len);
    if (order == LOW_END) return bytes[0] == expected(0) ? 0 : 1;
    long changed = 0;
    for (at = 0; at < len; at++) changed += bytes[at] != expected(at);
    return changed;
}

/* What a helper that was given the frame writes into it. */
void fill(char *bytes, size_t len)
{
    for (size_t at = 0; at < len; at++) bytes[at] = expected(at);
}

/* A frame that only others fill. */
__attribute__((noinline)) long lent(size_t len, inside_fn inside, void *arg)
{
    volatile char bytes[len];
    inside(arg, (char *)bytes, len);
    long changed = 0;
    for (size_t at = 0; at < len; at++) changed += bytes[at] != expected(at);
    return changed;
}
