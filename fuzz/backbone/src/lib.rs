//! The readers of weight files of `crates/backbone` and nothing else of it: instrumenting its engines (candle and all
//! below it) would take most of a fuzzer's build.
#![allow(dead_code, unused_imports)] // what the rest of the crate uses

pub mod weights;
