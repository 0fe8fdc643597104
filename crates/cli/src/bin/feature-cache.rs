//! The `feature-cache` program; see the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    cli::program::main()
}
