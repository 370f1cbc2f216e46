#include "arranged.h"

#include "run/layout.h"

/* Strides of a whole array: `step` between neighbours, 0 along axes that are shared. Returns how
 * far they go. */
static ptrdiff_t lay_out(ptrdiff_t *strides, const arrays *a, const char *memory, ptrdiff_t step,
                         unsigned shared) {
    for (int k = a->ndim - 1; k >= 0; k--) {
        int d = memory ? memory[k] - '0' : k;
        strides[d] = shared >> d & 1 ? 0 : step;
        if (strides[d]) { step *= (ptrdiff_t)a->shape[d]; }
    }
    return step;
}

/* How far each element, in C order, is from the first one. */
static ptrdiff_t *places_of(const fd_axes *axes, const ptrdiff_t *strides, size_t n) {
    ptrdiff_t *places = calloc(n, sizeof *places);
    size_t known = 1;
    for (int d = 0; d < axes->ndim; known *= axes->shape[d++]) {
        for (size_t i = known; i-- > 0;) {
            for (size_t k = axes->shape[d]; k-- > 0;) {
                places[i * axes->shape[d] + k] = places[i] + (ptrdiff_t)k * strides[d];
            }
        }
    }
    return places;
}

/* By the function of fastdrop.h, where there is one for such a call. */
static void run(const fd_call *c, int in_order) {
    const fd_axes *axes = &c->axes;
    const double *numbers = c->numbers;
    fd_layout l = {.ndim = axes->ndim};
    fd_affine map = {numbers[0], numbers[1], numbers[2]};
    memcpy(l.shape, axes->shape, sizeof l.shape);
    memcpy(l.x_strides, axes->strides[0], sizeof l.x_strides);
    memcpy(l.y_strides, axes->strides[1], sizeof l.y_strides);
    memcpy(l.mask_strides, axes->steps, sizeof l.mask_strides);
    int scale = c->operation == FD_OP_scale, affine = c->operation == FD_OP_affine;
    if (scale && c->drawn && in_order) {
        fd_dropout_strided(c->dtype, c->at[0], c->at[1], &l, &c->key, &c->plan, numbers[0]);
    } else if (affine && c->drawn && in_order) {
        fd_dropout_affine(c->dtype, c->at[0], c->at[1], &l, &c->key, &c->plan, &map);
    } else if (scale && !c->drawn && c->bits) {
        fd_apply_bits(c->dtype, c->at[0], c->at[1], &l, c->bits, numbers[0]);
    } else if (affine && !c->drawn && c->bits) {
        fd_apply_bits_affine(c->dtype, c->at[0], c->at[1], &l, c->bits, &map);
    } else if (scale && c->bools) {
        fd_apply_bool(c->dtype, c->at[0], c->at[1], &l, c->bools, numbers[0]);
    } else if (scale && !c->drawn) {
        fd_scale(c->dtype, c->at[0], c->at[1], &l, numbers[0]);
    } else {
        fd_run(c);
    }
}

/* The same elements one after the other: those of noise where its variates are, as far as they go.
 */
static void run_plain(fd_call *c, guarded *plain, size_t n, uint8_t *bits) {
    c->drawn = is_noise(c->operation);
    c->bits = bits;
    c->bools = NULL;
    c->axes.ndim = 1;
    c->axes.shape[0] = n;
    c->axes.steps[0] = 1;
    for (int i = 0; i < c->axes.operands; i++) {
        c->at[i] = plain[i].data;
        c->axes.strides[i][0] = (ptrdiff_t)fd_itemsize(c->dtype);
    }
    int isa = fd_isa_active();
    size_t streaming = fd_get_streaming_bytes();
    fd_isa_select(fd_isa_count() - 1);
    fd_set_streaming_bytes(SIZE_MAX);
    fd_run(c);
    fd_set_streaming_bytes(streaming);
    fd_isa_select(isa);
}

static void check_masks(const fd_call *c, size_t n, const uint8_t *bits) {
    guarded bools = guarded_new(n, 1), packed = guarded_new((n + 7) / 8, 3);
    const fd_axes *axes = &c->axes;
    fd_draw_mask(bools.data, 0, axes->ndim, axes->shape, axes->steps, &c->key, &c->plan);
    fd_draw_mask(packed.data, 1, axes->ndim, axes->shape, axes->steps, &c->key, &c->plan);
    int good = !memcmp(packed.data, bits, packed.n);
    for (size_t k = 0; k < n; k++) { good &= bools.data[k] == (bits[k >> 3] >> (k & 7) & 1); }
    CHECK(good, "masks of %zu elements, rank %d, of %zu x ...", n, axes->ndim, axes->shape[0]);
}

void check_arranged(const arrangement *a, fd_operation operation, fd_dtype dtype, source from) {
    int reads = fd_operation_reads(operation), operands = fd_operation_operands(operation);
    size_t item = fd_itemsize(dtype), reach = 1, different = 1;
    const size_t *shape = a->window[0] ? a->window : a->of.shape;
    const int ndim = a->of.ndim;
    size_t n = fd_size(ndim, shape), bias = a->bias ? a->bias : shape[ndim - 1];
    fd_call c = {.operation = operation,
                 .dtype = dtype,
                 .axes = {.ndim = ndim, .operands = operands},
                 .drawn = from == DRAWN || from == DRAWN_ONCE,
                 .key = {3, 1, a->offset},
                 .plan = fd_plan_make(a->p),
                 .numbers = {1.5, 0.25, -1.25},
                 .act = a->act,
                 .bias = {.n = bias, .column = a->column}};
    lay_out(c.axes.steps, &a->of, NULL, 1, a->shared);
    for (int d = 0; d < ndim; d++) {
        c.axes.shape[d] = shape[d];
        reach += (shape[d] - 1) * (size_t)c.axes.steps[d];
        different *= c.axes.steps[d] ? shape[d] : 1;
    }
    ptrdiff_t *decisions = places_of(&c.axes, c.axes.steps, n), *places[FD_OPERANDS];

    guarded mask = guarded_new((reach + 7) / 8, 1), room = guarded_new((different + 7) / 8, 3);
    guarded bools = guarded_new(reach, 5), bits = guarded_new((n + 63) / 64 * 8, 0);
    guarded values = guarded_random((bias + FD_BLOCK) * item, 0, 3);
    memset(mask.data, 0xFF, mask.n);
    if (from != EVERY) { fd_mask_bits(mask.data, reach, &c.key, &c.plan); }
    for (size_t i = 0; i < reach; i++) { bools.data[i] = mask.data[i >> 3] >> (i & 7) & 1; }
    for (size_t k = 0; k < n; k++) {
        bits.data[k >> 3] |= (uint8_t)(bools.data[decisions[k]] << (k & 7));
    }
    for (size_t i = bias * item; i < values.n; i++) {
        values.data[i] = values.data[i - bias * item];
    }
    c.bias.values = values.data;
    c.bits = from == BITS ? mask.data : from == DRAWN_ONCE ? room.data : NULL;
    c.bools = from == BOOLS ? bools.data : NULL;

    guarded laid[FD_OPERANDS], plain[FD_OPERANDS], wanted[FD_OPERANDS];
    for (int i = 0; i < operands; i++) {
        int same = i == reads && a->in_place ? 0 : i; /* as the first, in place */
        ptrdiff_t *strides = c.axes.strides[i], start = 0;
        ptrdiff_t step = (ptrdiff_t)item << (a->gaps >> same & 1);
        size_t bytes = (size_t)lay_out(strides, &a->of, a->of.memory[same % 2], step, 0);
        laid[i] = guarded_random(bytes, a->misalignments[i] % 64, (uint64_t)i);
        wanted[i] = guarded_new(bytes, 0);
        memcpy(wanted[i].data, laid[i].data, bytes);
        for (int d = 0; d < ndim; d++) {
            start += (ptrdiff_t)a->start[d] * strides[d];
            if (!(a->backward >> d & 1)) { continue; }
            start += (ptrdiff_t)(shape[d] - 1) * strides[d];
            strides[d] *= -1;
        }
        c.at[i] = laid[same].data + start;
        places[i] = places_of(&c.axes, strides, n);
        plain[i] = guarded_new((is_noise(operation) ? reach : n) * item, 0);
        for (size_t k = 0; k < n; k++) {
            size_t place = is_noise(operation) ? (size_t)decisions[k] : k;
            memcpy(plain[i].data + place * item, (char *)c.at[i] + places[i][k], item);
            places[i][k] += start;
        }
    }
    fd_call oracle = c;
    run_plain(&oracle, plain, plain[0].n / item, bits.data);
    run(&c, !a->shared && shape == a->of.shape);
    for (int i = 0; i < operands; i++) {
        int same = i == reads && a->in_place ? 0 : i;
        for (size_t k = 0; k < n && i >= reads; k++) {
            size_t place = is_noise(operation) ? (size_t)decisions[k] : k;
            memcpy(wanted[same].data + places[i][k], plain[i].data + place * item, item);
        }
    }
    for (int i = 0; i < operands; i++) {
        CHECK(same_numbers(dtype, laid[i].data, wanted[i].data, laid[i].n / item),
              "%s, operand %d, dtype %d, source %d, %zu elements, rank %d of %zu x ..., shared %u, "
              "from %llu on, %d threads",
              fd_operation_name(operation), i, (int)dtype, (int)from, n, ndim, shape[0], a->shared,
              (unsigned long long)a->offset, fd_get_num_threads());
        free(places[i]);
    }
    free(decisions);
    if (from == DRAWN && !is_noise(operation)) { check_masks(&c, n, bits.data); }
    CHECK(guarded_end(), "%s wrote outside, %zu elements, rank %d of %zu x ...",
          fd_operation_name(operation), n, ndim, shape[0]);
}
