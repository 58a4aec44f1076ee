/* libFuzzer's entry into the compiled modules, and into those of Python.

   Starts Python inside the fuzzer and imports the target (environment: HOWDAH_FUZZ_TARGET).  Of a compiled one,
   howdah_fuzz.TARGET, it takes the address of `one_input`; from then on no Python runs.  Of one in Python,
   fuzz.python.TARGET, it calls `check` with each input, and counts for libFuzzer which lines follow upon which.
   Built by tools/fuzz.py with clang. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

typedef int (*one_input_t)(const uint8_t *, size_t);

static one_input_t one_input;

/* Of a target in Python.  libFuzzer takes what it finds in this section for coverage, beside that of compiled code. */
enum { COUNTERS = 1 << 15 };
static uint8_t counters[COUNTERS] __attribute__((section("__libfuzzer_extra_counters")));
static PyObject *check;
static uint32_t last_place;

static void fail(const char *what)
{
    fprintf(stderr, "howdah fuzz: %s\n", what);
    if (PyErr_Occurred())
        PyErr_Print();
    exit(1);
}

static void start_python(void)
{
    PyStatus status;
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0; /* they are libFuzzer's */
    status = PyConfig_SetBytesString(&config, &config.program_name, getenv("HOWDAH_FUZZ_PYTHON"));
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    if (PyStatus_Exception(status))
        fail(status.err_msg);
    PyConfig_Clear(&config);
}

/* A pair of lines is one of the counters, by a hash; two pairs that share one are seen as one, which does no harm. */
static int count_line(PyObject *unused, PyFrameObject *frame, int what, PyObject *argument)
{
    PyCodeObject *code;
    uint32_t place;
    (void)unused;
    (void)argument;
    if (what != PyTrace_LINE)
        return 0;
    code = PyFrame_GetCode(frame);
    place = (uint32_t)((uintptr_t)code >> 4) * 2654435761u + (uint32_t)PyFrame_GetLineNumber(frame) * 40503u;
    Py_DECREF(code);
    counters[(place ^ last_place) % COUNTERS]++;
    last_place = place >> 1;
    return 0;
}

static int one_input_of_python(const uint8_t *data, size_t size)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *result;
    last_place = 0;
    PyEval_SetTrace(count_line, NULL);
    result = PyObject_CallFunction(check, "y#", (const char *)data, (Py_ssize_t)size);
    PyEval_SetTrace(NULL, NULL);
    if (result == NULL) {
        PyErr_Print();
        abort(); /* libFuzzer keeps the input */
    }
    Py_DECREF(result);
    PyGILState_Release(state);
    return 0;
}

static PyObject *import(const char *package, const char *target)
{
    char name[128];
    PyObject *module;
    snprintf(name, sizeof name, "%s.%s", package, target);
    module = PyImport_ImportModule(name);
    if (module == NULL)
        fail("the target cannot be imported");
    return module;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    PyObject *module, *doors, *door;
    const char *target = getenv("HOWDAH_FUZZ_TARGET");
    (void)argc;
    (void)argv;
    if (target == NULL || getenv("HOWDAH_FUZZ_PYTHON") == NULL)
        fail("start me through tools/fuzz.py");
    start_python();
    if (getenv("HOWDAH_FUZZ_IN_PYTHON") != NULL) {
        check = PyObject_GetAttrString(import("fuzz.python", target), "check");
        if (check == NULL)
            fail("the target has no `check`");
        one_input = one_input_of_python;
        PyEval_SaveThread();
        return 0;
    }
    module = import("howdah_fuzz", target);
    doors = PyObject_GetAttrString(module, "__pyx_capi__"); /* the functions declared `cdef api` */
    door = doors ? PyDict_GetItemString(doors, "one_input") : NULL;
    if (door == NULL)
        fail("the target has no `cdef api int one_input`");
    one_input = (one_input_t)PyCapsule_GetPointer(door, PyCapsule_GetName(door));
    PyEval_SaveThread();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return one_input(data, size);
}
