//! The `fit-head` binary; see the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    cli::fit_head::main()
}
