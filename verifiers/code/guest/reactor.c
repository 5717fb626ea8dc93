/* The guest: CPython as a WASI reactor that is booted once, before its memory is snapshotted, and then answers messages.
 *
 * Exports: rlvr_boot (before the snapshot), rlvr_control (a message from the host, JSON) and rlvr_dispatch (a message from the
 * other instance, see codec.c). Both announce the length of a message that is fetched with `take`; the answer goes out through
 * `give`. `call` sends a message to the other instance and returns the length of its answer, which is fetched with `take` too. */

#include "codec.h"
#include "frozen.h" /* generated: the modules that CPython needs before an importer of ours can run */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("rlvr"), import_name(name)))

IMPORT("take") void host_take(void *to);
IMPORT("give") void host_give(const void *from, uint32_t length);
IMPORT("call") int32_t host_call(const void *from, uint32_t length);

/* Each ends with a zero byte that is not part of it. */
static const unsigned char stdlib_image[] = {
#embed "stdlib.bin"
    , 0};
static const char source_boot[] = {
#embed "boot.py"
    , 0};
static const char source_bridge[] = {
#embed "bridge.py"
    , 0};
static const char source_solution[] = {
#embed "solution.py"
    , 0};
static const char source_compare[] = {
#embed "compare.py"
    , 0};
static const char source_cases[] = {
#embed "cases.py"
    , 0};
static const char source_tests[] = {
#embed "tests.py"
    , 0};
static const char source_warm[] = {
#embed "warm.py"
    , 0};

#define TOO_DEEP -2 /* of `call`: the two instances have called each other too often */

static PyObject *g_control, *g_dispatch;

static void die(const char *what) {
    PyErr_Print();
    fprintf(stderr, "guest: %s\n", what);
    abort();
}

/* exchange(bytes) -> bytes: sends a message to the other instance and waits for the answer. */
static PyObject *exchange(PyObject *self, PyObject *message) {
    if (!PyBytes_Check(message)) return PyErr_Format(PyExc_TypeError, "a message is bytes");
    int32_t n = host_call(PyBytes_AS_STRING(message), (uint32_t)PyBytes_GET_SIZE(message));
    if (n == TOO_DEEP) return PyErr_Format(PyExc_RecursionError, "maximum depth of calls between the solution and the tests exceeded");
    if (n < 0) return PyErr_Format(PyExc_ConnectionError, "the other side does not answer");
    PyObject *answer = PyBytes_FromStringAndSize(NULL, n);
    if (answer) host_take(PyBytes_AS_STRING(answer));
    return answer;
}

/* serve(control, dispatch): what answers the host, and the other instance. */
static PyObject *serve(PyObject *self, PyObject *args) {
    if (!PyArg_ParseTuple(args, "OO", &g_control, &g_dispatch)) return NULL;
    Py_INCREF(g_control);
    Py_INCREF(g_dispatch);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"exchange", exchange, METH_O, "exchange(bytes) -> bytes"},
    {"serve", serve, METH_VARARGS, "serve(control, dispatch)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_rlvr", NULL, -1, methods, NULL, NULL, NULL, NULL};

static PyObject *make_module(void) {
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    PyObject *image = PyMemoryView_FromMemory((char *)stdlib_image, sizeof stdlib_image - 1, PyBUF_READ);
    if (!image || PyModule_AddObjectRef(module, "stdlib", image) || codec_register(module)) return NULL;
    Py_DECREF(image);
    return module;
}

static void run(const char *name, const char *source) {
    char file[64];
    snprintf(file, sizeof file, "<%s>", name);
    PyObject *code = Py_CompileString(source, file, Py_file_input);
    if (!code) die(name);
    PyObject *module = PyImport_ExecCodeModule(name, code);
    if (!module) die(name);
    Py_DECREF(code);
    Py_DECREF(module);
}

static void configure(PyConfig *config) {
    PyConfig_InitIsolatedConfig(config);
    config->use_hash_seed = 1;
    config->hash_seed = 0;
    config->site_import = 0;
    config->write_bytecode = 0;
    config->install_signal_handlers = 0;
    config->module_search_paths_set = 1;
    config->use_frozen_modules = 1;
    config->buffered_stdio = 1;
    config->pathconfig_warnings = 0;
    config->int_max_str_digits = 0;
    PyConfig_SetBytesString(config, &config->stdio_encoding, "utf-8");
    PyConfig_SetBytesString(config, &config->stdio_errors, "surrogateescape");
    PyConfig_SetBytesString(config, &config->program_name, "/usr/bin/python3");
    PyConfig_SetBytesString(config, &config->executable, "/usr/bin/python3");
    PyConfig_SetBytesString(config, &config->prefix, "/usr");
    PyConfig_SetBytesString(config, &config->exec_prefix, "/usr");
    PyConfig_SetBytesString(config, &config->base_prefix, "/usr");
    PyConfig_SetBytesString(config, &config->base_exec_prefix, "/usr");
}

/* The allocator of wasi-libc keeps a free list for each power of two and takes new blocks from memory.grow. Blocks of each
 * class are put aside before the snapshot, so that most checks do not grow the memory: a grown instance cannot be put back. */
static void put_blocks_aside(void) {
    static const struct { uint32_t size, count; } classes[] = {
        {1000, 64},    {2000, 64},    {4000, 64},      {8000, 64},      {16000, 64},    {32000, 64},   {65000, 32},
        {130000, 16}, {1u << 18, 72}, {500000, 8}, {1000000, 8}, {2000000, 4}, {4000000, 2}, {8000000, 2}};
    static void *blocks[1024];
    size_t n = 0;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (uint32_t j = 0; j < classes[i].count; j++) blocks[n++] = malloc(classes[i].size);
    while (n) free(blocks[--n]);
}

EXPORT("rlvr_boot") void rlvr_boot(void) {
    PyPreConfig pre;
    PyPreConfig_InitIsolatedConfig(&pre);
    pre.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&pre);
    if (PyStatus_Exception(status)) die("pre-initialisation");
    PyImport_FrozenModules = frozen_modules;
    if (PyImport_AppendInittab("_rlvr", make_module)) die("module");
    PyConfig config;
    configure(&config);
    status = Py_InitializeFromConfig(&config);
    if (PyStatus_Exception(status)) {
        fprintf(stderr, "guest: %s: %s\n", status.func ? status.func : "", status.err_msg ? status.err_msg : "");
        abort();
    }
    PyConfig_Clear(&config);
    run("_rlvr_boot", source_boot);
    run("_rlvr_bridge", source_bridge);
    run("_rlvr_solution", source_solution);
    run("_rlvr_compare", source_compare);
    run("_rlvr_cases", source_cases);
    run("_rlvr_tests", source_tests);
    run("_rlvr_warm", source_warm);
    if (!g_control || !g_dispatch) die("nothing serves");
    put_blocks_aside();
}

/* Answers a message of `length` bytes; 0, or 1 when there is no answer. */
static uint32_t answer(PyObject *server, uint32_t length) {
    PyObject *message = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)length);
    if (!message) { PyErr_Clear(); return 1; }
    host_take(PyBytes_AS_STRING(message));
    PyObject *reply = PyObject_CallOneArg(server, message);
    Py_DECREF(message);
    if (!reply || !PyBytes_Check(reply)) { PyErr_Clear(); Py_XDECREF(reply); return 1; }
    host_give(PyBytes_AS_STRING(reply), (uint32_t)PyBytes_GET_SIZE(reply));
    Py_DECREF(reply);
    return 0;
}

EXPORT("rlvr_control") uint32_t rlvr_control(uint32_t length) { return answer(g_control, length); }

EXPORT("rlvr_dispatch") uint32_t rlvr_dispatch(uint32_t length) { return answer(g_dispatch, length); }
