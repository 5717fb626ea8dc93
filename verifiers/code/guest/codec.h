/* Values as bytes and back: what crosses between two guests. See codec.c. */
#ifndef RLVR_CODEC_H
#define RLVR_CODEC_H

#include <Python.h>

/* Adds encode, decode, configure, classes and names to the module. Returns 0, or -1 with an exception. */
int codec_register(PyObject *module);

#endif
