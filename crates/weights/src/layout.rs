//! The order of a tensor's axes in files, and how it becomes PyTorch's.

use graph::Role;

use crate::Parameter;
use util::permute;

/// The order of a kernel's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// (out, in, height, width), (out, in): PyTorch.
    OutFirst,
    /// (height, width, in, out), (in, out): Keras, TensorFlow, Flax.
    OutLast,
}

impl Layout {
    /// The layout in which a tensor of shape `found` can be this parameter; `own` where both fit.
    pub(crate) fn of(parameter: &Parameter, found: &[usize], own: Self) -> Option<Self> {
        let other = if own == Self::OutFirst { Self::OutLast } else { Self::OutFirst };
        [own, other].into_iter().find(|layout| layout.fits(parameter, found))
    }

    /// Whether a tensor of shape `found` in this layout can be the parameter.
    ///
    /// # Shapes
    /// In PyTorch's layout a 1×1 convolution may be stored as a dense layer, and a dense layer as a convolution that covers
    /// its whole input map.
    fn fits(self, parameter: &Parameter, found: &[usize]) -> bool {
        let spec = &parameter.spec;
        if self == Self::OutLast {
            return found == spec.shape;
        }
        match (spec.role, spec.shape.as_slice(), found) {
            (Role::Kernel | Role::PointwiseKernel, &[1, 1, i, o], &[first, second]) => {
                (first, second) == (o, i)
            }
            (Role::Kernel, &[i, o], &[first, ref rest @ ..]) => {
                matches!(rest.len(), 1 | 3)
                    && first == o
                    && rest.iter().copied().fold(1, usize::saturating_mul) == i
            }
            _ => found == parameter.shape(),
        }
    }

    /// The shape that messages name as expected.
    pub(crate) fn expected(self, parameter: &Parameter) -> Vec<usize> {
        match self {
            Self::OutFirst => parameter.shape(),
            Self::OutLast => parameter.spec.shape.clone(),
        }
    }

    /// Values in this layout as they are handed out, in PyTorch's.
    pub(crate) fn to_torch(self, parameter: &Parameter, data: Vec<f32>) -> Vec<f32> {
        if self == Self::OutFirst {
            return data;
        }
        match (parameter.spec.role, parameter.spec.shape.as_slice(), parameter.flattened) {
            (Role::DepthwiseKernel, &[h, w, i, multiplier], _) => {
                permute(&data, [h, w, i, multiplier], [2, 3, 0, 1])
            }
            (_, &[h, w, i, o], _) => permute(&data, [h, w, i, o], [3, 2, 0, 1]),
            (_, &[_, o], Some([h, w, c])) => permute(&data, [h, w, c, o], [3, 2, 0, 1]),
            (_, &[i, o], None) => permute(&data, [1, 1, i, o], [3, 2, 0, 1]),
            _ => data,
        }
    }
}

/// Whether a state dict's tensor of shape `found` can be this parameter. A 1×1 convolution may be stored as a dense layer, and
/// a dense layer as a convolution that covers its whole input map.
pub fn fits_state_dict(parameter: &Parameter, found: &[usize]) -> bool {
    Layout::OutFirst.fits(parameter, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::ParamSpec;

    fn parameter(role: Role, shape: &[usize]) -> Parameter {
        Parameter {
            spec: ParamSpec { node: "x".into(), role, shape: shape.to_vec() },
            tensor: "x.weight".into(),
            class: "Conv2D",
            flattened: None,
        }
    }

    fn fits(parameter: &Parameter, found: &[usize]) -> bool {
        Layout::OutFirst.fits(parameter, found)
    }

    #[test]
    fn shapes_that_only_look_alike_do_not_fit() {
        let conv = parameter(Role::Kernel, &[1, 7, 128, 192]);
        assert!(fits(&conv, &[192, 128, 1, 7]));
        assert!(!fits(&conv, &[192, 128, 7, 1]) && !fits(&conv, &[1, 7, 128, 192]));
        assert!(!fits(&conv, &[192, 128]));
        let pointwise = parameter(Role::Kernel, &[1, 1, 8, 4]);
        assert!(fits(&pointwise, &[4, 8, 1, 1]) && fits(&pointwise, &[4, 8]));
        assert!(!fits(&pointwise, &[8, 4]));
        let depthwise = parameter(Role::DepthwiseKernel, &[3, 3, 8, 2]);
        assert!(fits(&depthwise, &[16, 1, 3, 3]) && !fits(&depthwise, &[8, 2, 3, 3]));
        let dense = parameter(Role::Kernel, &[25_088, 4096]);
        assert!(fits(&dense, &[4096, 25_088]) && fits(&dense, &[4096, 512, 7, 7]));
        assert!(!fits(&dense, &[25_088, 4096]) && !fits(&dense, &[4096, 512, 49]));
        let bias = parameter(Role::Bias, &[4]);
        assert!(fits(&bias, &[4]) && !fits(&bias, &[4, 1]));
    }

    #[test]
    fn a_square_kernel_has_the_layout_of_its_names() {
        let square = parameter(Role::Kernel, &[3, 3, 3, 3]);
        for own in [Layout::OutFirst, Layout::OutLast] {
            assert_eq!(Layout::of(&square, &[3, 3, 3, 3], own), Some(own));
        }
        let wide = parameter(Role::Kernel, &[3, 3, 2, 5]);
        assert_eq!(Layout::of(&wide, &[5, 2, 3, 3], Layout::OutLast), Some(Layout::OutFirst));
        assert_eq!(Layout::of(&wide, &[2, 5, 3, 3], Layout::OutLast), None);
    }

    #[test]
    fn keras_s_axes_become_pytorch_s() {
        let count = |n: usize| (0..n).map(|v| v as f32).collect::<Vec<_>>();
        // numpy: arange(12).reshape(1, 2, 3, 2).transpose(3, 2, 0, 1).ravel()
        let conv = parameter(Role::Kernel, &[1, 2, 3, 2]);
        let expected = [0., 6., 2., 8., 4., 10., 1., 7., 3., 9., 5., 11.];
        assert_eq!(Layout::OutLast.to_torch(&conv, count(12)), expected);
        // numpy: arange(12).reshape(1, 2, 3, 2).transpose(2, 3, 0, 1).ravel()
        let depthwise = parameter(Role::DepthwiseKernel, &[1, 2, 3, 2]);
        let expected = [0., 6., 1., 7., 2., 8., 3., 9., 4., 10., 5., 11.];
        assert_eq!(Layout::OutLast.to_torch(&depthwise, count(12)), expected);
        // numpy: arange(6).reshape(3, 2).T.ravel()
        let dense = parameter(Role::Kernel, &[3, 2]);
        assert_eq!(Layout::OutLast.to_torch(&dense, count(6)), [0., 2., 4., 1., 3., 5.]);
        // The same values as a map of 1×2 pixels and 3 channels, flattened pixel by pixel: as the convolution above.
        let map = Parameter { flattened: Some([1, 2, 3]), ..parameter(Role::Kernel, &[6, 2]) };
        let expected = [0., 6., 2., 8., 4., 10., 1., 7., 3., 9., 5., 11.];
        assert_eq!(Layout::OutLast.to_torch(&map, count(12)), expected);
    }
}
