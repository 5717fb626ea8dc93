/* Values as bytes and back: what crosses between the instance of the solution and that of the tests.
 *
 * A message is a graph, written breadth first, so that neither side recurses however deep it is: first the roots, then the
 * contents of every container in the order in which containers were first met. A container gets its number where it is first
 * met; met again, it is a reference. So shared and cyclic references keep identity. `known` are the containers of the message
 * that this one answers: they go by number too, so that an argument that comes back is the same object.
 *
 *   value   N T F E | i zigzag | I n bytes | d f64 | c f64 f64 | s n utf8 | b n bytes
 *           r index | k index of known | container | u n values (a tuple as a key) | f n values (a frozenset) | p tag value
 *   start   t l n (tuple, list) | D O C n (dict, OrderedDict, Counter) | M factory n (defaultdict) | e n (set)
 *           a n (bytearray) | q maxlen n (deque) | m name n fields (named tuple) | o class n (instance)
 *   content values; pairs for mappings and instances; bytes for bytearrays
 *
 * Numbers without a type are LEB128. `p` is what Python code of ours turns into a tag and a tuple, and back: handles, decimals,
 * ranges and other rare values.
 *
 * The decoder treats its input as hostile: every length is checked against what is left, the sum of all announced lengths
 * against the length of the message, and nesting of keys is bounded. */

#include "codec.h"
#include <string.h>

#define MOST_BYTES (64u << 20)
#define MOST_NESTING 60

static PyObject *g_export, *g_import, *g_named;
static PyObject *g_deque, *g_counter, *g_defaultdict, *g_ordered;
static PyObject *g_classes, *g_names; /* type -> name, name -> type: classes that cross by value */
static int g_trusting;                /* whether messages come from the tests */
static PyObject *s_append, *s_maxlen, *s_factory, *s_fields;

/* ---- encoder ---- */

typedef struct { PyObject *object; uint32_t index; } Slot;

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
    PyObject *objects; /* list: the containers in order */
    uint32_t *sizes;   /* announced length of each */
    size_t sizes_capacity;
    Slot *slots;
    size_t slots_used, slots_capacity; /* a power of two */
} Encoder;

static int reserve(Encoder *e, size_t more) {
    size_t need = e->length + more;
    if (need > MOST_BYTES) {
        PyErr_SetString(PyExc_OverflowError, "too much data to cross between the solution and the tests");
        return -1;
    }
    if (need <= e->capacity) return 0;
    size_t capacity = e->capacity * 2 < need ? need : e->capacity * 2;
    uint8_t *bytes = PyMem_Realloc(e->bytes, capacity);
    if (!bytes) { PyErr_NoMemory(); return -1; }
    e->bytes = bytes;
    e->capacity = capacity;
    return 0;
}

static int put_bytes(Encoder *e, const void *bytes, size_t n) {
    if (reserve(e, n)) return -1;
    memcpy(e->bytes + e->length, bytes, n);
    e->length += n;
    return 0;
}

static int put_tag(Encoder *e, char tag) {
    if (reserve(e, 1)) return -1;
    e->bytes[e->length++] = (uint8_t)tag;
    return 0;
}

static int put_number(Encoder *e, uint64_t n) {
    if (reserve(e, 10)) return -1;
    while (n >= 0x80) {
        e->bytes[e->length++] = (uint8_t)(n | 0x80);
        n >>= 7;
    }
    e->bytes[e->length++] = (uint8_t)n;
    return 0;
}

static int put_block(Encoder *e, char tag, const void *bytes, size_t n) {
    return put_tag(e, tag) || put_number(e, n) || put_bytes(e, bytes, n) ? -1 : 0;
}

static size_t slot_of(const Encoder *e, const PyObject *object) {
    size_t mask = e->slots_capacity - 1, at = (((uintptr_t)object >> 3) * 2654435761u) & mask;
    while (e->slots[at].object && e->slots[at].object != object) at = (at + 1) & mask;
    return at;
}

static int remember(Encoder *e, PyObject *object, uint32_t index) {
    if (e->slots_used * 2 >= e->slots_capacity) {
        Slot *old = e->slots;
        size_t n = e->slots_capacity, capacity = n ? n * 2 : 64;
        Slot *slots = PyMem_Calloc(capacity, sizeof(Slot));
        if (!slots) { PyErr_NoMemory(); return -1; }
        e->slots = slots;
        e->slots_capacity = capacity;
        for (size_t i = 0; i < n; i++)
            if (old[i].object) e->slots[slot_of(e, old[i].object)] = old[i];
        PyMem_Free(old);
    }
    size_t at = slot_of(e, object);
    if (!e->slots[at].object) {
        e->slots[at] = (Slot){object, index};
        e->slots_used++;
    }
    return 0;
}

#define KNOWN 0x80000000u

/* 1: a reference was written; 0: the container is new and has its number; -1: error. */
static int refer_or_number(Encoder *e, PyObject *object) {
    int shared = Py_REFCNT(object) > 1;
    if (shared && e->slots_capacity) {
        Slot *slot = &e->slots[slot_of(e, object)];
        if (slot->object) {
            char tag = slot->index & KNOWN ? 'k' : 'r';
            return put_tag(e, tag) || put_number(e, slot->index & ~KNOWN) ? -1 : 1;
        }
    }
    size_t index = (size_t)PyList_GET_SIZE(e->objects);
    if (shared && remember(e, object, (uint32_t)index)) return -1;
    if (index >= e->sizes_capacity) {
        size_t capacity = e->sizes_capacity ? e->sizes_capacity * 2 : 64;
        uint32_t *sizes = PyMem_Realloc(e->sizes, capacity * sizeof *sizes);
        if (!sizes) { PyErr_NoMemory(); return -1; }
        e->sizes = sizes;
        e->sizes_capacity = capacity;
    }
    e->sizes[index] = 0;
    return PyList_Append(e->objects, object);
}

static int put_size(Encoder *e, Py_ssize_t n) {
    e->sizes[PyList_GET_SIZE(e->objects) - 1] = (uint32_t)n;
    return put_number(e, (uint64_t)n);
}

static int put_value(Encoder *e, PyObject *o);
static int put_key(Encoder *e, PyObject *o, int nesting);

static int put_text(Encoder *e, PyObject *o) {
    Py_ssize_t n;
    const char *text = PyUnicode_AsUTF8AndSize(o, &n);
    if (text) return put_block(e, 's', text, (size_t)n);
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(o, "utf-8", "surrogatepass");
    if (!bytes) return -1;
    int r = put_block(e, 's', PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return r;
}

static int put_int(Encoder *e, PyObject *o) {
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (!overflow) {
        if (n == -1 && PyErr_Occurred()) return -1;
        return put_tag(e, 'i') || put_number(e, ((uint64_t)n << 1) ^ (uint64_t)(n >> 63)) ? -1 : 0;
    }
    Py_ssize_t size = PyLong_AsNativeBytes(o, NULL, 0, Py_ASNATIVEBYTES_LITTLE_ENDIAN);
    if (size < 0 || put_tag(e, 'I') || put_number(e, (uint64_t)size) || reserve(e, (size_t)size)) return -1;
    if (PyLong_AsNativeBytes(o, e->bytes + e->length, size, Py_ASNATIVEBYTES_LITTLE_ENDIAN) < 0) return -1;
    e->length += (size_t)size;
    return 0;
}

/* 1: written; 0: not a scalar; -1: error. */
static int put_scalar(Encoder *e, PyObject *o) {
    int r;
    if (o == Py_None) r = put_tag(e, 'N');
    else if (o == Py_True) r = put_tag(e, 'T');
    else if (o == Py_False) r = put_tag(e, 'F');
    else if (o == Py_Ellipsis) r = put_tag(e, 'E');
    else if (PyLong_CheckExact(o)) r = put_int(e, o);
    else if (PyUnicode_CheckExact(o)) r = put_text(e, o);
    else if (PyFloat_CheckExact(o)) {
        double d = PyFloat_AS_DOUBLE(o);
        r = put_tag(e, 'd') || put_bytes(e, &d, 8);
    } else if (PyBytes_CheckExact(o)) r = put_block(e, 'b', PyBytes_AS_STRING(o), (size_t)PyBytes_GET_SIZE(o));
    else if (PyComplex_CheckExact(o)) {
        Py_complex c = PyComplex_AsCComplex(o);
        r = put_tag(e, 'c') || put_bytes(e, &c.real, 8) || put_bytes(e, &c.imag, 8);
    } else return 0;
    return r ? -1 : 1;
}

static int put_elements(Encoder *e, PyObject *iterable, char tag, int nesting) {
    Py_ssize_t n = PyObject_Size(iterable), seen = 0;
    if (n < 0 || put_tag(e, tag) || put_number(e, (uint64_t)n)) return -1;
    PyObject *iterator = PyObject_GetIter(iterable), *item;
    if (!iterator) return -1;
    while (seen < n && (item = PyIter_Next(iterator))) {
        int r = put_key(e, item, nesting + 1);
        Py_DECREF(item);
        if (r) { Py_DECREF(iterator); return -1; }
        seen++;
    }
    Py_DECREF(iterator);
    if (!PyErr_Occurred() && seen != n) PyErr_SetString(PyExc_RuntimeError, "a value changed while it crossed");
    return PyErr_Occurred() ? -1 : 0;
}

/* Tuples and frozensets as keys are written in place: a key must be whole before it is hashed. */
static int put_key(Encoder *e, PyObject *o, int nesting) {
    if (nesting > MOST_NESTING) {
        PyErr_SetString(PyExc_RecursionError, "a key is nested too deeply to cross");
        return -1;
    }
    if (PyTuple_CheckExact(o)) return put_elements(e, o, 'u', nesting);
    if (PyFrozenSet_CheckExact(o)) return put_elements(e, o, 'f', nesting);
    return put_value(e, o);
}

static int put_rare(Encoder *e, PyObject *o) {
    PyObject *pair = PyObject_CallOneArg(g_export, o);
    if (!pair) return -1;
    int r = -1;
    if (PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2 && PyTuple_CheckExact(PyTuple_GET_ITEM(pair, 1))) {
        long tag = PyLong_AsLong(PyTuple_GET_ITEM(pair, 0));
        if (tag != -1 || !PyErr_Occurred())
            r = put_tag(e, 'p') || put_tag(e, (char)tag) || put_key(e, PyTuple_GET_ITEM(pair, 1), 0) ? -1 : 0;
    } else PyErr_SetString(PyExc_TypeError, "export must return a tag and a tuple");
    Py_DECREF(pair);
    return r;
}

/* The attributes of an instance that crosses by value, as a new reference to a dict. */
static PyObject *attributes(PyObject *o) {
    PyObject *dict = PyObject_GenericGetDict(o, NULL);
    if (dict) return dict;
    PyErr_Clear();
    return PyDict_New();
}

static int put_named(Encoder *e, PyObject *o) {
    PyObject *fields = PyObject_GetAttr((PyObject *)Py_TYPE(o), s_fields);
    if (!fields || !PyTuple_CheckExact(fields) || PyTuple_GET_SIZE(fields) != PyTuple_GET_SIZE(o)) {
        PyErr_Clear();
        Py_XDECREF(fields);
        return put_rare(e, o);
    }
    int r = refer_or_number(e, o);
    if (r == 0) {
        PyObject *name = PyType_GetName(Py_TYPE(o));
        r = !name || put_tag(e, 'm') || put_text(e, name) || put_size(e, PyTuple_GET_SIZE(o)) ? -1 : 0;
        Py_XDECREF(name);
        for (Py_ssize_t i = 0; !r && i < PyTuple_GET_SIZE(fields); i++) {
            PyObject *field = PyTuple_GET_ITEM(fields, i);
            if (PyUnicode_CheckExact(field)) r = put_text(e, field);
            else { PyErr_SetString(PyExc_TypeError, "a field's name is no text"); r = -1; }
        }
    }
    Py_DECREF(fields);
    return r < 0 ? -1 : 0;
}

static int put_start(Encoder *e, PyObject *o, char tag, Py_ssize_t n) {
    int r = refer_or_number(e, o);
    if (r) return r < 0 ? -1 : 0;
    return put_tag(e, tag) || put_size(e, n) ? -1 : 0;
}

static int put_with(Encoder *e, PyObject *o, char tag, PyObject *attribute) {
    int r = refer_or_number(e, o);
    if (r) return r < 0 ? -1 : 0;
    PyObject *extra = PyObject_GetAttr(o, attribute);
    Py_ssize_t n = PyObject_Size(o);
    r = !extra || n < 0 || put_tag(e, tag) || put_number(e, (uint64_t)n) ? -1 : 0;
    if (!r) {
        e->sizes[PyList_GET_SIZE(e->objects) - 1] = (uint32_t)n;
        /* a default factory is a type or a handle, a maximum a number: no container */
        r = PyTuple_Check(extra) || PyList_Check(extra) || PyDict_Check(extra) ? put_tag(e, 'N') : put_value(e, extra);
    }
    Py_XDECREF(extra);
    return r;
}

static int put_value(Encoder *e, PyObject *o) {
    int r = put_scalar(e, o);
    if (r) return r < 0 ? -1 : 0;
    PyTypeObject *type = Py_TYPE(o);
    if (PyList_CheckExact(o)) return put_start(e, o, 'l', PyList_GET_SIZE(o));
    if (PyTuple_CheckExact(o)) return put_start(e, o, 't', PyTuple_GET_SIZE(o));
    if (PyDict_CheckExact(o)) return put_start(e, o, 'D', PyDict_GET_SIZE(o));
    if (PyAnySet_CheckExact(o)) {
        if (PyFrozenSet_CheckExact(o)) return put_elements(e, o, 'f', 0);
        return put_start(e, o, 'e', PySet_GET_SIZE(o));
    }
    if (PyByteArray_CheckExact(o)) return put_start(e, o, 'a', PyByteArray_GET_SIZE(o));
    if ((PyObject *)type == g_counter) return put_start(e, o, 'C', PyDict_GET_SIZE(o));
    if ((PyObject *)type == g_ordered) return put_start(e, o, 'O', PyDict_GET_SIZE(o));
    if ((PyObject *)type == g_defaultdict) return put_with(e, o, 'M', s_factory);
    if ((PyObject *)type == g_deque) return put_with(e, o, 'q', s_maxlen);
    if (PyTuple_Check(o)) return put_named(e, o);
    PyObject *name = PyDict_GetItemWithError(g_classes, (PyObject *)type);
    if (!name) return PyErr_Occurred() ? -1 : put_rare(e, o);
    r = refer_or_number(e, o);
    if (r) return r < 0 ? -1 : 0;
    PyObject *dict = attributes(o);
    r = !dict || put_tag(e, 'o') || put_text(e, name) || put_size(e, PyDict_GET_SIZE(dict)) ? -1 : 0;
    Py_XDECREF(dict);
    return r;
}

static int put_pairs(Encoder *e, PyObject *dict, uint32_t n) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        int r = n == 0 || put_key(e, key, 0) || put_value(e, value);
        Py_DECREF(key);
        Py_DECREF(value);
        if (r) break;
        n--;
    }
    if (!PyErr_Occurred() && n) PyErr_SetString(PyExc_RuntimeError, "a value changed while it crossed");
    return PyErr_Occurred() ? -1 : 0;
}

static int put_content(Encoder *e, PyObject *o, uint32_t n) {
    if (PyList_CheckExact(o) || PyTuple_Check(o)) {
        for (uint32_t i = 0; i < n; i++) {
            if (PyList_CheckExact(o) && (Py_ssize_t)i >= PyList_GET_SIZE(o)) {
                PyErr_SetString(PyExc_RuntimeError, "a value changed while it crossed");
                return -1;
            }
            PyObject *item = PyList_CheckExact(o) ? PyList_GET_ITEM(o, i) : PyTuple_GET_ITEM(o, i);
            Py_INCREF(item);
            int r = put_value(e, item);
            Py_DECREF(item);
            if (r) return -1;
        }
        return 0;
    }
    if (PyDict_Check(o)) return put_pairs(e, o, n);
    if (PyByteArray_CheckExact(o)) {
        if (PyByteArray_GET_SIZE(o) == (Py_ssize_t)n) return put_bytes(e, PyByteArray_AS_STRING(o), n);
        PyErr_SetString(PyExc_RuntimeError, "a value changed while it crossed");
        return -1;
    }
    if (PySet_CheckExact(o) || (PyObject *)Py_TYPE(o) == g_deque) {
        int keys = PySet_CheckExact(o);
        PyObject *iterator = PyObject_GetIter(o), *item;
        if (!iterator) return -1;
        while (n && (item = PyIter_Next(iterator))) {
            int r = keys ? put_key(e, item, 0) : put_value(e, item);
            Py_DECREF(item);
            if (r) break;
            n--;
        }
        Py_DECREF(iterator);
        if (!PyErr_Occurred() && n) PyErr_SetString(PyExc_RuntimeError, "a value changed while it crossed");
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *dict = attributes(o);
    int r = dict ? put_pairs(e, dict, n) : -1;
    Py_XDECREF(dict);
    return r;
}

static PyObject *codec_encode(PyObject *self, PyObject *args) {
    PyObject *roots, *known = Py_None, *result = NULL;
    int kind = 0;
    if (!PyArg_ParseTuple(args, "O!|Oi", &PyTuple_Type, &roots, &known, &kind)) return NULL;
    Encoder e = {0};
    e.objects = PyList_New(0);
    int r = e.objects ? 0 : -1;
    if (!r && kind) r = put_tag(&e, (char)kind);
    if (!r && PyList_CheckExact(known))
        for (Py_ssize_t i = 0; !r && i < PyList_GET_SIZE(known); i++)
            r = remember(&e, PyList_GET_ITEM(known, i), (uint32_t)i | KNOWN);
    if (!r) r = put_number(&e, (uint64_t)PyTuple_GET_SIZE(roots));
    for (Py_ssize_t i = 0; !r && i < PyTuple_GET_SIZE(roots); i++) r = put_value(&e, PyTuple_GET_ITEM(roots, i));
    for (Py_ssize_t i = 0; !r && i < PyList_GET_SIZE(e.objects); i++)
        r = put_content(&e, PyList_GET_ITEM(e.objects, i), e.sizes[i]);
    if (!r) result = Py_BuildValue("y#O", (const char *)e.bytes, (Py_ssize_t)e.length, e.objects);
    Py_XDECREF(e.objects);
    PyMem_Free(e.bytes);
    PyMem_Free(e.sizes);
    PyMem_Free(e.slots);
    return result;
}

/* ---- decoder ---- */

typedef struct { char tag; uint32_t size; } Start;

typedef struct {
    const uint8_t *at, *end;
    size_t announced; /* lengths that may still be announced */
    PyObject *objects, *known;
    Start *starts;
    size_t starts_capacity;
} Decoder;

static PyObject *bad(const char *what) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "bad message: %s", what);
    return NULL;
}

static int get_number(Decoder *d, uint64_t *out) {
    uint64_t n = 0;
    for (int shift = 0; shift < 64 && d->at < d->end; shift += 7) {
        uint8_t byte = *d->at++;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) { *out = n; return 0; }
    }
    bad("number");
    return -1;
}

static int get_length(Decoder *d, uint32_t *out) {
    uint64_t n;
    if (get_number(d, &n)) return -1;
    if (n > (uint64_t)(d->end - d->at)) { bad("length"); return -1; }
    *out = (uint32_t)n;
    return 0;
}

/* The length of a container: each of its elements takes a byte at least, and all come later. */
static int get_size(Decoder *d, uint32_t *out) {
    if (get_length(d, out)) return -1;
    if (*out > d->announced) { bad("sum of lengths"); return -1; }
    d->announced -= *out;
    return 0;
}

static int get_text(Decoder *d, PyObject **out) {
    uint32_t n;
    if (d->at >= d->end || *d->at != 's') { bad("text"); return -1; }
    d->at++;
    if (get_length(d, &n)) return -1;
    *out = PyUnicode_DecodeUTF8((const char *)d->at, (Py_ssize_t)n, "surrogatepass");
    d->at += n;
    return *out ? 0 : -1;
}

static PyObject *get_value(Decoder *d, int nesting);

/* Takes the container over; returns a new reference to it. */
static PyObject *started(Decoder *d, PyObject *object, char tag, uint32_t size) {
    if (!object) return bad("container");
    size_t index = (size_t)PyList_GET_SIZE(d->objects);
    if (index >= d->starts_capacity) {
        size_t capacity = d->starts_capacity ? d->starts_capacity * 2 : 64;
        Start *starts = PyMem_Realloc(d->starts, capacity * sizeof *starts);
        if (!starts) { Py_DECREF(object); return PyErr_NoMemory(); }
        d->starts = starts;
        d->starts_capacity = capacity;
    }
    d->starts[index] = (Start){tag, size};
    if (PyList_Append(d->objects, object)) { Py_DECREF(object); return NULL; }
    return object;
}

static PyObject *get_elements(Decoder *d, char tag, int nesting) {
    uint32_t n;
    if (nesting > MOST_NESTING) return bad("nesting");
    if (get_size(d, &n)) return NULL;
    PyObject *tuple = PyTuple_New(n);
    if (!tuple) return NULL;
    for (uint32_t i = 0; i < n; i++) {
        PyObject *item = get_value(d, nesting + 1);
        if (!item) { Py_DECREF(tuple); return NULL; }
        PyTuple_SET_ITEM(tuple, i, item);
    }
    if (tag == 'u') return tuple;
    PyObject *set = PyFrozenSet_New(tuple);
    Py_DECREF(tuple);
    return set;
}

static PyObject *get_rare(Decoder *d, int nesting) {
    if (d->at >= d->end) return bad("tag");
    int tag = *d->at++;
    PyObject *payload = get_value(d, nesting + 1);
    if (!payload) return NULL;
    if (!PyTuple_CheckExact(payload)) { Py_DECREF(payload); return bad("payload"); }
    PyObject *object = PyObject_CallFunction(g_import, "iO", tag, payload);
    Py_DECREF(payload);
    return object;
}

static PyObject *get_named(Decoder *d) {
    PyObject *name = NULL, *fields = NULL, *type = NULL, *object = NULL;
    uint32_t n;
    if (get_text(d, &name) || get_size(d, &n)) goto done;
    fields = PyTuple_New(n);
    for (uint32_t i = 0; fields && i < n; i++) {
        PyObject *field;
        if (get_text(d, &field)) goto done;
        PyTuple_SET_ITEM(fields, i, field);
    }
    if (!fields) goto done;
    type = PyObject_CallFunctionObjArgs(g_named, name, fields, NULL);
    if (!type || !PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)) { bad("named tuple"); goto done; }
    object = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, n);
    if (object) {
        for (uint32_t i = 0; i < n; i++) PyTuple_SET_ITEM(object, i, Py_NewRef(Py_None));
        object = started(d, object, 'm', n);
    }
done:
    Py_XDECREF(name);
    Py_XDECREF(fields);
    Py_XDECREF(type);
    return object;
}

static PyObject *get_instance(Decoder *d) {
    PyObject *name;
    uint32_t n;
    if (get_text(d, &name)) return NULL;
    PyObject *type = PyDict_GetItemWithError(g_names, name);
    Py_DECREF(name);
    if (!type || !PyType_Check(type)) return bad("class");
    if (get_size(d, &n)) return NULL;
    PyTypeObject *class = (PyTypeObject *)type;
    if (class->tp_flags & Py_TPFLAGS_HEAPTYPE) return started(d, class->tp_alloc(class, 0), 'o', n);
    PyObject *none = PyTuple_New(0);
    PyObject *object = none ? class->tp_new(class, none, NULL) : NULL;
    Py_XDECREF(none);
    return started(d, object, 'o', n);
}

static PyObject *get_start(Decoder *d, char tag, int nesting) {
    uint32_t n;
    if (get_size(d, &n)) return NULL;
    PyObject *object = NULL, *extra = NULL;
    switch (tag) {
    case 'l':
        object = PyList_New(n);
        for (uint32_t i = 0; object && i < n; i++) PyList_SET_ITEM(object, i, Py_NewRef(Py_None));
        break;
    case 't':
        object = PyTuple_New(n);
        for (uint32_t i = 0; object && i < n; i++) PyTuple_SET_ITEM(object, i, Py_NewRef(Py_None));
        break;
    case 'D': object = PyDict_New(); break;
    case 'e': object = PySet_New(NULL); break;
    case 'a': object = PyByteArray_FromStringAndSize(NULL, 0); break;
    case 'C': object = PyObject_CallNoArgs(g_counter); break;
    case 'O': object = PyObject_CallNoArgs(g_ordered); break;
    default: /* M, q */
        extra = get_value(d, nesting + 1);
        if (!extra) return NULL;
        object = tag == 'M' ? PyObject_CallOneArg(g_defaultdict, extra) : PyObject_CallFunction(g_deque, "()O", extra);
        Py_DECREF(extra);
    }
    return started(d, object, tag, n);
}

static PyObject *get_reference(Decoder *d, PyObject *list) {
    uint64_t n;
    if (get_number(d, &n)) return NULL;
    if (!list || n >= (uint64_t)PyList_GET_SIZE(list)) return bad("reference");
    return Py_NewRef(PyList_GET_ITEM(list, (Py_ssize_t)n));
}

static PyObject *get_float(Decoder *d, int complex) {
    double parts[2] = {0, 0};
    size_t n = complex ? 16 : 8;
    if ((size_t)(d->end - d->at) < n) return bad("float");
    memcpy(parts, d->at, n);
    d->at += n;
    return complex ? PyComplex_FromDoubles(parts[0], parts[1]) : PyFloat_FromDouble(parts[0]);
}

static PyObject *get_value(Decoder *d, int nesting) {
    if (d->at >= d->end) return bad("end");
    uint64_t n;
    uint32_t length;
    PyObject *object;
    char tag = (char)*d->at++;
    switch (tag) {
    case 'N': return Py_NewRef(Py_None);
    case 'T': return Py_NewRef(Py_True);
    case 'F': return Py_NewRef(Py_False);
    case 'E': return Py_NewRef(Py_Ellipsis);
    case 'i':
        if (get_number(d, &n)) return NULL;
        return PyLong_FromLongLong((long long)(n >> 1) ^ -(long long)(n & 1));
    case 'I':
    case 'b':
        if (get_length(d, &length)) return NULL;
        object = tag == 'b' ? PyBytes_FromStringAndSize((const char *)d->at, length)
                            : PyLong_FromNativeBytes(d->at, length, Py_ASNATIVEBYTES_LITTLE_ENDIAN);
        d->at += length;
        return object;
    case 'd': return get_float(d, 0);
    case 'c': return get_float(d, 1);
    case 's':
        d->at--;
        return get_text(d, &object) ? NULL : object;
    case 'r': return get_reference(d, d->objects);
    case 'k': return get_reference(d, d->known);
    case 'u':
    case 'f': return get_elements(d, tag, nesting);
    case 'p': return nesting > MOST_NESTING ? bad("nesting") : get_rare(d, nesting);
    case 'm': return get_named(d);
    case 'o': return get_instance(d);
    case 'l': case 't': case 'D': case 'e': case 'a': case 'C': case 'O': return get_start(d, tag, nesting);
    case 'M': case 'q': return nesting > MOST_NESTING ? bad("nesting") : get_start(d, tag, nesting);
    default: return bad("tag");
    }
}

/* Whether an attribute of an instance would hide what its class defines: then it is left out. As `settable` of bridge.py. */
static int hides(PyTypeObject *type, PyObject *name) {
    Py_ssize_t n;
    const char *text = PyUnicode_AsUTF8AndSize(name, &n);
    if (!text) { PyErr_Clear(); return 1; }
    if (n >= 4 && text[0] == '_' && text[1] == '_' && text[n - 1] == '_' && text[n - 2] == '_') return 1;
    PyObject *own = g_trusting ? NULL : _PyType_Lookup(type, name);
    return own && (PyCallable_Check(own) || Py_TYPE(own)->tp_descr_get);
}

static int set_attribute(PyObject *object, PyObject *name, PyObject *value) {
    if (hides(Py_TYPE(object), name)) return 0;
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    int r = dict ? PyDict_SetItem(dict, name, value) : -1;
    Py_XDECREF(dict);
    return r;
}

static int get_item(Decoder *d, PyObject *object, char tag, uint32_t i) {
    PyObject *key = get_value(d, 0), *value;
    if (!key) return -1;
    int r = -1;
    switch (tag) {
    case 'l':
        if ((Py_ssize_t)i < PyList_GET_SIZE(object)) return PyList_SetItem(object, i, key);
        break;
    case 't':
    case 'm':
        value = PyTuple_GET_ITEM(object, i);
        PyTuple_SET_ITEM(object, i, key);
        Py_DECREF(value);
        return 0;
    case 'e': r = PySet_Add(object, key); break;
    case 'q':
        value = PyObject_CallMethodOneArg(object, s_append, key);
        r = value ? 0 : -1;
        Py_XDECREF(value);
        break;
    default:
        value = get_value(d, 0);
        if (!value) break;
        if (tag != 'o') r = tag == 'O' ? PyObject_SetItem(object, key, value) : PyDict_SetItem(object, key, value);
        else if (PyUnicode_CheckExact(key)) r = set_attribute(object, key, value);
        else bad("attribute");
        Py_DECREF(value);
    }
    Py_DECREF(key);
    return r;
}

static int get_content(Decoder *d, PyObject *object, Start start) {
    if (start.tag == 'a') {
        if ((size_t)(d->end - d->at) < start.size) { bad("end"); return -1; }
        if (PyByteArray_Resize(object, start.size)) return -1;
        memcpy(PyByteArray_AS_STRING(object), d->at, start.size);
        d->at += start.size;
        return 0;
    }
    for (uint32_t i = 0; i < start.size; i++)
        if (get_item(d, object, start.tag, i)) return -1;
    return 0;
}

static PyObject *codec_decode(PyObject *self, PyObject *args) {
    PyObject *bytes, *known = Py_None, *roots = NULL, *result = NULL;
    Py_ssize_t from = 0;
    if (!PyArg_ParseTuple(args, "S|On", &bytes, &known, &from)) return NULL;
    Py_ssize_t length = PyBytes_GET_SIZE(bytes);
    if (from < 0 || from > length) return bad("offset");
    Decoder d = {0};
    d.at = (const uint8_t *)PyBytes_AS_STRING(bytes) + from;
    d.end = (const uint8_t *)PyBytes_AS_STRING(bytes) + length;
    d.announced = (size_t)(length - from);
    d.known = PyList_CheckExact(known) ? known : NULL;
    d.objects = PyList_New(0);
    uint32_t n;
    if (!d.objects || get_size(&d, &n)) goto done;
    roots = PyTuple_New(n);
    for (uint32_t i = 0; roots && i < n; i++) {
        PyObject *item = get_value(&d, 0);
        if (!item) goto done;
        PyTuple_SET_ITEM(roots, i, item);
    }
    for (Py_ssize_t i = 0; roots && i < PyList_GET_SIZE(d.objects); i++)
        if (get_content(&d, PyList_GET_ITEM(d.objects, i), d.starts[i])) goto done;
    if (d.at != d.end) bad("length");
    else if (roots) result = PyTuple_Pack(2, roots, d.objects);
done:
    Py_XDECREF(roots);
    Py_XDECREF(d.objects);
    PyMem_Free(d.starts);
    return result;
}

/* ---- module ---- */

static PyObject *codec_configure(PyObject *self, PyObject *args) {
    if (!PyArg_ParseTuple(args, "OOOOOOO", &g_export, &g_import, &g_named, &g_deque, &g_counter, &g_defaultdict, &g_ordered))
        return NULL;
    PyObject *all[] = {g_export, g_import, g_named, g_deque, g_counter, g_defaultdict, g_ordered};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) Py_INCREF(all[i]);
    Py_RETURN_NONE;
}

static PyObject *codec_trust(PyObject *self, PyObject *other) {
    g_trusting = PyObject_IsTrue(other);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"trust", codec_trust, METH_O, "trust(other): whether messages come from the tests"},
    {"encode", codec_encode, METH_VARARGS, "encode(roots, known=None, kind=0) -> (bytes, containers)"},
    {"decode", codec_decode, METH_VARARGS, "decode(bytes, known=None, offset=0) -> (roots, containers)"},
    {"configure", codec_configure, METH_VARARGS, "configure(export, import, named, deque, Counter, defaultdict, OrderedDict)"},
    {NULL, NULL, 0, NULL},
};

int codec_register(PyObject *module) {
    g_classes = PyDict_New();
    g_names = PyDict_New();
    s_append = PyUnicode_InternFromString("append");
    s_maxlen = PyUnicode_InternFromString("maxlen");
    s_factory = PyUnicode_InternFromString("default_factory");
    s_fields = PyUnicode_InternFromString("_fields");
    if (!g_classes || !g_names || !s_append || !s_maxlen || !s_factory || !s_fields) return -1;
    if (PyModule_AddFunctions(module, methods)) return -1;
    if (PyModule_AddObjectRef(module, "classes", g_classes)) return -1;
    return PyModule_AddObjectRef(module, "names", g_names);
}
