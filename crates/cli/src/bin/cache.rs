//! The `cache` binary; see the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    cli::cache_tool::main()
}
