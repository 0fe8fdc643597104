//! What a frozen base is: a layer graph, its weights, and the engines that run it.
#![forbid(unsafe_code)]

pub mod weights;
