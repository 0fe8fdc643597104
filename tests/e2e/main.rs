//! The built binaries from outside: files in, files, text and exit codes out.
//!
//! Every test draws its own images into a temporary folder and runs with `random:0` weights at 32x32, so that a run takes
//! about half a second. What a machine does not allow (mounting, another user) is skipped with a line that says so.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod augment;
mod bases;
mod cache_tool;
mod calibration;
mod compare;
mod drawing;
mod export;
mod export_keras;
mod extract;
mod faults;
mod fit_head;
mod folders;
mod hostile_heads;
mod hostile_names;
mod hostile_pictures;
mod interrupted;
mod locks;
mod merged_again;
mod npy;
mod numerics;
mod odd_images;
mod predict;
mod program;
mod recover;
mod refusals;
mod room;
mod shards;
mod shared;
mod signals;
mod strange_folders;
mod support;
mod tables;
mod talk;
mod train;
mod train_refusals;
mod train_resume;
mod trust_heads;
mod tune;
mod update;
mod views;
