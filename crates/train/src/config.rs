//! What a user chooses about a training run.

use serde::{Deserialize, Serialize};

/// How weights follow from gradients. All constants are Keras 3's defaults; only the learning rate is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Optimizer {
    /// `v = 0.9 v + 0.1 g²; w -= lr g / sqrt(v + 1e-7)`.
    Rmsprop,
    /// Adam with `beta_1 = 0.9`, `beta_2 = 0.999`, `epsilon = 1e-7` outside the root, bias corrected.
    Adam,
    /// `w -= lr g`, no momentum.
    Sgd,
}

/// How samples of different classes count in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassWeight {
    /// Every sample counts 1.
    None,
    /// A sample of class c counts `n / (classes * n_c)`, as in scikit-learn; the loss is `Σ wᵢ lᵢ / N`, as in Keras.
    Balanced,
}

/// How the learning rate changes from epoch to epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// Half a cosine, from the whole rate in the first epoch to 0 after the last (Loshchilov and Hutter 2017, without
    /// restarts).
    Cosine,
    /// A tenth from a third of the epochs on, a hundredth from two thirds on.
    Step,
}

impl Schedule {
    /// The learning rate of an epoch (from 1) of so many.
    pub fn rate(self, learning_rate: f32, epoch: usize, epochs: usize) -> f32 {
        let done = (epoch.max(1) - 1) as f64 / epochs.max(1) as f64;
        let factor = match self {
            Self::Constant => return learning_rate,
            Self::Cosine => 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)),
            Self::Step if done >= 2.0 / 3.0 => 0.01,
            Self::Step if done >= 1.0 / 3.0 => 0.1,
            Self::Step => 1.0,
        };
        (f64::from(learning_rate) * factor) as f32
    }
}

util::named!(Schedule, "learning-rate schedule", { Constant = "constant", Cosine = "cosine", Step = "step" });
util::named!(Optimizer, "optimizer", { Rmsprop = "rmsprop", Adam = "adam", Sgd = "sgd" });
util::named!(ClassWeight, "class weight", { None = "none", Balanced = "balanced" });

/// A training run, but for the data. `Default` is the lesson.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitConfig {
    /// Widths of the hidden ReLU layers, in order. Empty: logistic (or softmax) regression.
    #[serde(deserialize_with = "crate::store::few")]
    pub hidden: Vec<usize>,
    /// Share of each hidden layer's outputs that training sets to zero, in `0.0..1.0`.
    pub dropout: f32,
    /// Passes over the training rows, from 1 to 100,000: the history of all is kept.
    pub epochs: usize,
    /// Rows a step, at least 1. The last batch of an epoch may be smaller, as in Keras.
    pub batch_size: usize,
    /// Step size, finite and above 0.
    pub learning_rate: f32,
    /// How the step size changes from epoch to epoch.
    #[serde(default)]
    pub schedule: Schedule,
    /// The update rule.
    pub optimizer: Optimizer,
    /// How classes count in the training loss. Validation is never weighted, as in Keras.
    pub class_weight: ClassWeight,
    /// Stop after this many epochs without a lower validation loss, and keep the weights of the best epoch
    /// (Keras `EarlyStopping(patience=…, restore_best_weights=True)`). Needs validation data.
    pub early_stopping: Option<usize>,
    /// Decides initial weights, order, dropout, and the view that each row begins with.
    pub seed: u64,
    /// Names of the classes in index order, for messages; may be empty.
    #[serde(default, deserialize_with = "crate::store::few")]
    pub class_names: Vec<String>,
}

impl Default for FitConfig {
    fn default() -> Self {
        Self {
            hidden: vec![256],
            dropout: 0.5,
            epochs: 30,
            batch_size: 20,
            learning_rate: 2e-5,
            schedule: Schedule::Constant,
            optimizer: Optimizer::Rmsprop,
            class_weight: ClassWeight::None,
            early_stopping: None,
            seed: 0,
            class_names: Vec::new(),
        }
    }
}
