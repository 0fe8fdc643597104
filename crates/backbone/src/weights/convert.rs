//! From a file's tensors, under whatever names and in whatever layout, to the architecture's.
