/* A Python extension in C that drops through fastdrop's C API. It links to nothing:
 *
 *     cc -shared -fPIC -O2 -I"$(python -c 'import sysconfig;
 * print(sysconfig.get_path("include"))')" \
 *         -I"$(python -c 'import fastdrop; print(fastdrop.get_include())')" c_extension.c \
 *         -o c_extension.so
 */
#include <Python.h>

#include "fastdrop.h"

static const fd_api *fd;

/* relu_dropout(x, p, seed, offset): in place, for contiguous float32. Each piece is dropped while
 * it is still in the cache. */
static PyObject *relu_dropout(PyObject *self, PyObject *arguments) {
    enum { PIECE = 4096 };
    Py_buffer x;
    double p;
    unsigned long long seed, offset;
    int failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "w*dKK", &x, &p, &seed, &offset)) { return NULL; }
    size_t n = (size_t)x.len / sizeof(float);
    Py_BEGIN_ALLOW_THREADS for (size_t start = 0; start < n && !failed; start += PIECE) {
        float *piece = (float *)x.buf + start;
        size_t count = n - start < PIECE ? n - start : PIECE;
        for (size_t i = 0; i < count; i++) { piece[i] = piece[i] > 0 ? piece[i] : 0; }
        failed = fd->dropout_at(FD_f32, piece, piece, count, p, seed, 0, offset + start);
    }
    Py_END_ALLOW_THREADS PyBuffer_Release(&x);
    if (failed) {
        PyErr_SetString(PyExc_ValueError, "p is not in [0, 1], or the stream is used up");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"relu_dropout", relu_dropout, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "c_extension", .m_size = -1,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit_c_extension(void) {
    fd = PyCapsule_Import(FD_API_CAPSULE, 0);
    return fd ? PyModule_Create(&module) : NULL;
}
