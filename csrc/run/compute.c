/* What an operation's kernel is called with. */
#include "run.h"

#include "bits.h"

static const struct {
    const char *name;
    int reads, operands;
} operations[FD_OPERATION_COUNT] = {
    [FD_OP_scale] = {"scale", 1, 2},
#define FD_OPERATION(name, reads, writes) [FD_OP_##name] = {#name, reads, reads + writes},
#include "ops.def"
};

const char *fd_operation_name(int operation) { return operations[operation].name; }
int fd_operation_reads(int operation) { return operations[operation].reads; }
int fd_operation_operands(int operation) { return operations[operation].operands; }

/* Kernels read 64 numbers of a bias at a time, and begin again from `turn` on. What was made of a
 * bias elsewhere (permuted.c) is long enough, and never turns. */
static void turn_of(const fd_job *j, const char *bias, fd_operands *at) {
    at->turn = at->period = 0;
    if (!bias) { return; }
    uintptr_t values = (uintptr_t)j->call->bias.values;
    size_t n = j->call->bias.n;
    if ((uintptr_t)bias - values >= n * j->size) { return; }
    at->period = (n < 64 ? (63 + n) / n * n : n) * j->size;
    at->turn = values + at->period;
}

void fd_compute(const fd_job *j, char *const *at, size_t n, const fd_keep *keep,
                const fd_variates *variates, const char *bias) {
    fd_part part;
    int i = 0;
    for (; i < j->reads; i++) { part.at.in[i] = at[i]; }
    part.at.in[i] = bias;
    turn_of(j, bias, &part.at);
    for (; i < j->operands; i++) { part.at.out[i - j->reads] = at[i]; }
    part.n = n;
    part.streaming = fd_takes_lines(j, at);
    part.keep = *keep;
    if (variates) { part.variates = *variates; }
    for (int k = 0; k < 3; k++) { part.numbers[k] = j->call->numbers[k]; }
    part.act = j->call->act;
    j->table->compute[j->operation][j->dtype](&part);
}

void fd_apply(const fd_job *j, char *const *at, size_t n, const uint8_t *bits, size_t bit0,
              const char *bias) {
    if (j->operation == FD_OP_scale) {
        (j->streaming ? j->table->apply_bits_stream : j->table->apply_bits)[j->dtype](
            at[0], at[1], n, bits, bit0, j->call->numbers[0]);
        return;
    }
    uint8_t moved[FD_BLOCK / 8];
    char *here[FD_OPERANDS];
    for (size_t done = 0, m; done < n; done += m) {
        size_t bit = bit0 + done;
        m = n - done < FD_BLOCK ? n - done : FD_BLOCK;
        fd_keep keep = {bits + bit / 8, {0}, NULL};
        if (bit % 8) {
            for (size_t i = 0; i < m; i += 64) {
                fd_store64(moved + i / 8, fd_bits64(bits, bit + i));
            }
            keep.bits = moved;
        }
        for (int i = 0; i < j->operands; i++) { here[i] = at[i] + done * j->size; }
        fd_compute(j, here, m, &keep, NULL, bias);
    }
}
