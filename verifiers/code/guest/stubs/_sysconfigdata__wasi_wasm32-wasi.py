"""What `sysconfig` reads of the interpreter's build: nothing that a program without files could use."""

build_time_vars = {}
