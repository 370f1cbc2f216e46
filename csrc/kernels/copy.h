/* Copies what a chunk's arithmetic has left in the nearest cache, with stores that bypass it where
 * whole cache lines are written. */
static void copy_stream(char *to, const char *from, size_t bytes) {
    size_t head = (size_t)(-(uintptr_t)to & 63);
    if (!FD_HAS_STREAM || bytes < head + 64) {
        memcpy(to, from, bytes);
        return;
    }
    memcpy(to, from, head);
    for (; bytes - head >= 64; head += 64) { fd_stream_line(to + head, from + head); }
    fd_stream_end();
    memcpy(to + head, from + head, bytes - head);
}
