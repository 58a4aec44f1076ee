/* libFuzzer's entry into the compiled modules.

   Starts Python inside the fuzzer, imports howdah_fuzz.TARGET (environment: HOWDAH_FUZZ_TARGET) and takes the address of
   its `one_input`; from then on no Python runs.  Built by tools/fuzz.py with clang. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

typedef int (*one_input_t)(const uint8_t *, size_t);

static one_input_t one_input;

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

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char name[128];
    PyObject *module, *doors, *door;
    const char *target = getenv("HOWDAH_FUZZ_TARGET");
    (void)argc;
    (void)argv;
    if (target == NULL || getenv("HOWDAH_FUZZ_PYTHON") == NULL)
        fail("start me through tools/fuzz.py");
    start_python();
    snprintf(name, sizeof name, "howdah_fuzz.%s", target);
    module = PyImport_ImportModule(name);
    if (module == NULL)
        fail("the target cannot be imported");
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
