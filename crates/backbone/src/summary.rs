//! The table that Keras's `model.summary()` prints of a base.

use crate::{Base, BaseError, Pooling};
use graph::{Op, PoolKind};

/// The base as [`graph::summary`] prints it, with a row for pooling if there is any.
///
/// # Errors
/// [`BaseError::TooSmall`], [`BaseError::Graph`].
pub fn summary(
    base: &Base,
    pooling: Pooling,
    height: usize,
    width: usize,
) -> Result<String, BaseError> {
    base.shapes(height, width)?;
    let wrap = |source| BaseError::Graph { base: base.name, source };
    let pool = |kind| Op::GlobalPool { kind, keep_dims: false };
    let graph = match pooling {
        Pooling::None => base.graph().clone(),
        Pooling::Avg => {
            base.graph().then("global_average_pooling2d_1", pool(PoolKind::Avg)).map_err(wrap)?
        }
        Pooling::Max => {
            base.graph().then("global_max_pooling2d_1", pool(PoolKind::Max)).map_err(wrap)?
        }
    };
    graph::summary(&graph, [height, width]).map_err(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesson_s_table() {
        let table = summary(&Base::named("vgg16").unwrap(), Pooling::None, 150, 150).unwrap();
        let expected = include_str!("../../../tests/golden/summary/vgg16_150.txt");
        assert_eq!(table, expected);
    }

    #[test]
    fn a_table_with_connections() {
        let xception = Base::of_keras("xception", true).unwrap();
        let table = summary(&xception, Pooling::None, 299, 299).unwrap();
        let expected = include_str!("../../../tests/golden/summary/xception_top_299.txt");
        assert_eq!(table, expected);
    }

    #[test]
    fn pooling_adds_a_row() {
        let base = Base::named("vgg16").unwrap().up_to("block3_pool").unwrap();
        let table = summary(&base, Pooling::Avg, 64, 96).unwrap();
        assert!(
            table.contains("block3_pool (MaxPooling2D)   (None, 8, 12, 256)        0         \n"),
            "{table}"
        );
        assert!(
            table.contains("global_average_pooling2d_1 ( (None, 256)               0         \n"),
            "{table}"
        );
    }
}
