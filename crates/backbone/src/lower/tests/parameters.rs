//! Parameters and images that Python makes too: `make_features.py` and `make_torch_features.py` in `tests/golden/bases` say how.

use graph::{ParamSpec, Role};
use weights::Parameter;

/// Draws in [0, 1) with 24 bits, which the name alone decides: FNV-1a of it, then SplitMix64.
fn uniform(name: &str) -> impl Iterator<Item = f32> + use<> {
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 * (-24f32).exp2()
    })
}

/// A parameter's values as drawn for Keras, in the layout that lowering takes.
pub(super) fn parameter(spec: &ParamSpec) -> Vec<f32> {
    let inputs: usize = match spec.role {
        Role::DepthwiseKernel => spec.shape[0] * spec.shape[1],
        _ => spec.shape[..spec.shape.len() - 1].iter().product(),
    };
    let keras = values(spec, &format!("{}/{}", spec.node, spec.role.keras_name()), inputs);
    match (spec.role, &spec.shape[..]) {
        (Role::DepthwiseKernel, &[_, _, depth, multiplier]) => {
            transposed(&keras, inputs, 1, depth * multiplier)
        }
        (_, &[height, width, depth, out]) => transposed(&keras, height * width, depth, out),
        (_, &[depth, out]) => transposed(&keras, 1, depth, out),
        _ => keras,
    }
}

/// A parameter's values as drawn for PyTorch, in the layout that lowering takes: a dense layer that reads a flattened map
/// takes it pixel by pixel. `last` is the factor of the last layer's kernel.
pub(super) fn torch_parameter(parameter: &Parameter, last: f32) -> Vec<f32> {
    let shape = parameter.shape();
    let mut values = values(&parameter.spec, &parameter.tensor, shape[1..].iter().product());
    if shape[0] == 1000 && parameter.spec.role == Role::Kernel {
        values.iter_mut().for_each(|value| *value *= last);
    }
    match parameter.flattened {
        Some([height, width, channels]) => {
            let rows = values.chunks_exact(height * width * channels);
            rows.flat_map(|row| transposed(row, channels, 1, height * width)).collect()
        }
        None => values,
    }
}

/// Drawn values in the order in which they are drawn.
fn values(spec: &ParamSpec, name: &str, inputs: usize) -> Vec<f32> {
    let bound = |power: f64| (power / inputs as f64).sqrt() as f32;
    let centred = |u: f32| u * 2.0 - 1.0;
    let draws = uniform(name).take(spec.values());
    match spec.role {
        Role::Gamma if spec.node.ends_with("_project_BN") => {
            draws.map(|u| (0.5 + u) * 0.5).collect()
        }
        Role::Gamma | Role::Variance => draws.map(|u| 0.5 + u).collect(),
        Role::Bias | Role::Beta => draws.map(|u| centred(u) * 0.1).collect(),
        Role::Mean => draws.map(|u| centred(u) * 0.2).collect(),
        Role::Kernel | Role::PointwiseKernel => draws.map(|u| centred(u) * bound(6.0)).collect(),
        Role::DepthwiseKernel => draws.map(|u| centred(u) * bound(3.0)).collect(),
    }
}

/// From (taps, depth, out) to (out, depth, taps).
fn transposed(keras: &[f32], taps: usize, depth: usize, out: usize) -> Vec<f32> {
    let mut values = vec![0.0; keras.len()];
    for (from, value) in keras.iter().enumerate() {
        let (tap, channel, filter) = (from / (depth * out), from / out % depth, from % out);
        values[(filter * depth + channel) * taps + tap] = *value;
    }
    values
}

/// The pixels of the image of `[height, width]`.
pub(super) fn image([height, width]: [usize; 2]) -> Vec<f32> {
    uniform("image").take(height * width * 3).map(|u| u * 2.0 - 1.0).collect()
}
