//! macOS must be told that Python itself gives the symbols that this library leaves open.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
