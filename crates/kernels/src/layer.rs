use crate::KernelError;

/// One step of a [`Network`](crate::Network). Images are NHWC; layers chain in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Convolution, with bias and optionally ReLU.
    Conv(Conv2d),
    /// Maximum over windows that lie wholly inside the image (floor semantics, no padding; NaN wins).
    MaxPool {
        /// Window height and width.
        size: [usize; 2],
        /// Step between windows, vertical and horizontal.
        stride: [usize; 2],
    },
}

/// A 2-D cross-correlation, as deep-learning frameworks define convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step between outputs, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros around the image: rows above and below, columns left and right.
    pub padding: [usize; 2],
    /// Channel groups; `in_channels` of them is a depthwise convolution.
    pub groups: usize,
    /// Whether negative outputs become zero (NaN stays NaN).
    pub relu: bool,
    /// Kernel in OIHW order, I being `in_channels / groups`.
    pub weight: Vec<f32>,
    /// One value an output channel.
    pub bias: Vec<f32>,
}

impl Layer {
    /// `[height, width, channels]` of the output for such an input, or what is wrong with layer number `index`.
    pub(crate) fn output_shape(
        &self,
        index: usize,
        input: [usize; 3],
    ) -> Result<[usize; 3], KernelError> {
        match self {
            Self::Conv(conv) => conv.output_shape(index, input),
            Self::MaxPool { size, stride } => {
                let h = windows(index, "height of the pool", input[0], size[0], stride[0], 0)?;
                let w = windows(index, "width of the pool", input[1], size[1], stride[1], 0)?;
                Ok([h, w, input[2]])
            }
        }
    }
}

impl Conv2d {
    fn output_shape(&self, index: usize, input: [usize; 3]) -> Result<[usize; 3], KernelError> {
        let bad = |what, expected: String, found: String| KernelError::BadLayer {
            layer: index,
            what,
            expected,
            found,
        };
        if self.in_channels != input[2] {
            return Err(bad("input channels", input[2].to_string(), self.in_channels.to_string()));
        }
        if self.out_channels == 0 || self.in_channels == 0 {
            return Err(bad("channels", "at least 1".into(), "0".into()));
        }
        if self.groups == 0
            || !self.in_channels.is_multiple_of(self.groups)
            || !self.out_channels.is_multiple_of(self.groups)
        {
            let expected = format!("a divisor of {} and {}", self.in_channels, self.out_channels);
            return Err(bad("groups", expected, self.groups.to_string()));
        }
        let expected = [self.in_channels / self.groups, self.kernel[0], self.kernel[1]]
            .iter()
            .try_fold(self.out_channels, |product, factor| product.checked_mul(*factor))
            .ok_or(KernelError::TooLarge { what: "weights" })?;
        if self.weight.len() != expected {
            return Err(bad(
                "number of weights",
                expected.to_string(),
                self.weight.len().to_string(),
            ));
        }
        if self.bias.len() != self.out_channels {
            return Err(bad(
                "number of biases",
                self.out_channels.to_string(),
                self.bias.len().to_string(),
            ));
        }
        let [kh, kw] = self.kernel;
        let h =
            windows(index, "height of the kernel", input[0], kh, self.stride[0], self.padding[0])?;
        let w =
            windows(index, "width of the kernel", input[1], kw, self.stride[1], self.padding[1])?;
        Ok([h, w, self.out_channels])
    }
}

/// Number of windows of `size` at `stride` in `length` padded by `padding` on both sides.
fn windows(
    layer: usize,
    what: &'static str,
    length: usize,
    size: usize,
    stride: usize,
    padding: usize,
) -> Result<usize, KernelError> {
    let padded = padding
        .checked_mul(2)
        .and_then(|both| both.checked_add(length))
        .filter(|padded| *padded <= isize::MAX as usize)
        .ok_or(KernelError::TooLarge { what: "padding" })?;
    if size == 0 || size > padded {
        let expected = format!("1 to {padded}");
        return Err(KernelError::BadLayer { layer, what, expected, found: size.to_string() });
    }
    if stride == 0 {
        let found = "0".to_owned();
        return Err(KernelError::BadLayer {
            layer,
            what: "stride",
            expected: "at least 1".into(),
            found,
        });
    }
    Ok((padded - size) / stride + 1)
}
