//! What comes after the frozen part: classifiers on cached features and whole networks; fit, evaluate, predict, save, load.
//!
//! The default [`FitConfig`] is the lesson: Dense 256 ReLU, Dropout 0.5, Dense 1 sigmoid, RMSprop with a learning rate
//! of 2e-5, batches of 20, 30 epochs. Numerics follow Keras 3 (see `docs/head.md`). The same seed gives the same bits,
//! whatever the number of threads. [`Trainer`] trains, [`Head`] predicts.
//!
//! It knows rows of numbers and their classes: not where rows come from, no images, no bases, and no flags.
#![forbid(unsafe_code)]

mod batch;
pub mod calibration;
mod config;
pub mod convnet;
mod data;
mod error;
mod fit;
mod folder;
mod history;
mod layer;
mod loss;
mod memory_estimate;
pub mod metrics;
mod model;
mod network;
mod optimizer;
mod random;
pub mod repeats;
mod row_store;
mod sparse;
mod store;
mod sweep;
mod views;

pub use config::{ClassWeight, FitConfig, Optimizer, Schedule};
pub use data::{DenseRows, FeatureRows, Split, check_split};
pub use error::HeadError;
pub use fit::{CACHE_BYTES, Divergence, Fitted, HeadRows, Outcome, Trainer};
pub use folder::HeadFolder;
pub use history::EpochStats;
pub use memory_estimate::training_bytes;
pub use model::{Activation, Head, Layer};
pub use random::{Randomness, Seeded};
pub use store::{
    FORMAT_VERSION, HEAD_JSON, HEAD_TENSORS, HeadManifest, LayerRecord, NetworkRecord, SavedModel,
    SavedNetwork, TensorsRecord, TrainingRecord, check_features,
};
