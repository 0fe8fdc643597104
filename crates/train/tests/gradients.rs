//! Gradients of whole networks: PyTorch's (`tests/golden/train/make_gradients.py`).

#![allow(clippy::unwrap_used)] // Clippy takes helpers of tests for other code.

use graph::{
    Activation, Builder, Conv, Dense, Depthwise, Graph, Norm, Op, Padding, Pool, PoolKind,
    Separable,
};
use kernels::{Isa, Precision};
use safetensors::SafeTensors;
use train::convnet::{ConvNet, Machine};

/// f32 against f64: sums of a few hundred products. Relative to a tensor's largest gradient.
const TOLERANCE: f64 = 1e-5;

/// Gradients below this count as this: that of a bias before batch normalisation is 0 but for rounding.
const SMALLEST: f64 = 1e-2;

const RELU: Option<Activation> = Some(Activation::Relu);

fn conv(filters: usize, kernel: [usize; 2]) -> Conv {
    Conv::new(filters, kernel)
}

fn norm(epsilon: f64) -> Op {
    Op::Norm(Norm { epsilon, ..Norm::default() })
}

fn dense(units: usize, activation: Activation) -> Op {
    Op::Dense(Dense { units, bias: true, activation: Some(activation) })
}

fn chain() -> Graph {
    let mut b = Builder::new();
    let x = b.input("input", 3);
    let same = |filters: usize| conv(filters, [3, 3]).padding(Padding::Same);
    let x = b.add("conv1", Op::Conv(conv(16, [3, 3]).activation(Activation::Relu)), &[x]);
    let x = b.add("pool1", Op::Pool(Pool::max([2, 2], [2, 2])), &[x]);
    let x = b.add("conv2", Op::Conv(Conv { activation: RELU, ..same(32) }), &[x]);
    let x = b.add("conv3", Op::Conv(same(16).bias(false)), &[x]);
    let x = b.add("norm", norm(1e-3), &[x]);
    let x = b.add("relu", Op::Act(Activation::Relu), &[x]);
    let pool = Pool { padding: Padding::symmetric(1), ..Pool::avg([3, 3], [2, 2]) };
    let x = b.add("pool2", Op::Pool(pool), &[x]);
    let x = b.add("flatten", Op::Flatten, &[x]);
    let x = b.add("dense", dense(10, Activation::Relu), &[x]);
    let x = b.add("dropout", Op::Dropout { rate: 0.0 }, &[x]);
    let x = b.add("dense_1", dense(3, Activation::Softmax), &[x]);
    b.finish(x).unwrap()
}

fn branches() -> Graph {
    let mut b = Builder::new();
    let x = b.input("input", 4);
    let stem = conv(8, [3, 3]).stride(2).padding(Padding::Same).activation(Activation::Relu6);
    let stem = b.add("stem", Op::Conv(stem), &[x]);
    let depthwise = Depthwise::new([3, 3], 1, Padding::Same);
    let separable = Separable { filters: 8, depthwise, bias: true };
    let left = b.add("separable", Op::Separable(separable), &[stem]);
    let left = b.add("norm_left", norm(1e-5), &[left]);
    let both = b.add("sum", Op::Add { scale: Some(f64::from(0.3_f32)) }, &[stem, left]);
    let both = b.add("relu", Op::Act(Activation::Relu), &[both]);
    let right = b.add("depthwise", Op::Depthwise(depthwise), &[both]);
    let right = b.add("norm_frozen", norm(1e-3), &[right]);
    let right = b.add("pad", Op::Pad(graph::Pad::Fixed([1; 4])), &[right]);
    let right = b.add("pool", Op::Pool(Pool::max([3, 3], [2, 2])), &[right]);
    let long = conv(8, [1, 5]).stride(2).padding(Padding::Explicit([0, 2, 0, 2]));
    let long = b.add("long", Op::Conv(long), &[both]);
    let joined = b.add("joined", Op::Concat, &[right, long]);
    let global = |kind| Op::GlobalPool { kind, keep_dims: false };
    let mean = b.add("mean", global(PoolKind::Avg), &[joined]);
    let last = b.add("last", Op::Conv(conv(6, [1, 1])), &[joined]);
    let most = b.add("most", global(PoolKind::Max), &[last]);
    let joined = b.add("both_pools", Op::Concat, &[mean, most]);
    let x = b.add("dense", dense(1, Activation::Sigmoid), &[joined]);
    b.finish(x).unwrap()
}

struct Golden(Vec<u8>);

impl Golden {
    fn load() -> Self {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/train/gradients.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    fn f32(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let view = tensors.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn f64(&self, name: &str) -> Option<Vec<f64>> {
        let tensors = self.tensors();
        let view = tensors.tensor(name).ok()?;
        Some(view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    fn labels(&self, name: &str) -> Vec<i64> {
        let tensors = self.tensors();
        let view = tensors.tensor(name).unwrap();
        view.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    }
}

fn check(name: &str, graph: Graph, size: [usize; 2], frozen: &[&str]) {
    let golden = Golden::load();
    for isa in Isa::available() {
        let mut net = ConvNet::new(
            graph.clone(),
            size,
            Machine { isa, precision: Precision::Highest },
            &|layer| !frozen.contains(&layer),
            &mut |spec, values| {
                let stored =
                    golden.f32(&format!("{name}/{}/{}", spec.node, spec.role.keras_name()));
                values.copy_from_slice(&stored);
            },
        )
        .unwrap();
        let labels = golden.labels(&format!("{name}/labels"));
        let input = golden.f32(&format!("{name}/input"));
        // Twice: gradients are written, not added up.
        let mut loss = 0.0;
        for _ in 0..2 {
            loss = net.loss_and_gradients(&input, &labels).unwrap();
        }
        let expected = golden.f64(&format!("{name}/loss")).unwrap()[0];
        assert!(
            (loss - expected).abs() <= TOLERANCE * expected,
            "loss {loss}, expected {expected}"
        );
        for tensor in net.tensors() {
            let spec = tensor.spec();
            let key = format!("{name}/gradient/{}/{}", spec.node, spec.role.keras_name());
            if !tensor.is_trainable() {
                assert!(tensor.gradient().is_empty(), "{key} is not trained");
                continue;
            }
            let expected = golden.f64(&key).unwrap_or_else(|| panic!("no {key}"));
            assert_eq!(expected.len(), tensor.gradient().len(), "{key}");
            let largest = expected.iter().fold(SMALLEST, |most, x| most.max(x.abs()));
            for (i, (found, expected)) in tensor.gradient().iter().zip(&expected).enumerate() {
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error <= TOLERANCE * largest,
                    "{isa:?} {key} {i}: expected {expected}, found {found}, largest {largest}"
                );
            }
        }
    }
}

#[test]
fn a_chain_has_pytorchs_gradients() {
    check("chain", chain(), [17, 14], &[]);
}

#[test]
fn branches_have_pytorchs_gradients() {
    check("branches", branches(), [12, 15], &["norm_frozen"]);
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let build = |op: Op| {
        let mut b = Builder::new();
        let x = b.input("input", 4);
        let x = b.add("odd", op, &[x]);
        let x = b.add("flatten", Op::Flatten, &[x]);
        let x = b.add("dense", dense(2, Activation::Softmax), &[x]);
        let machine = Machine { isa: Isa::best(), precision: Precision::Highest };
        let graph = b.finish(x).unwrap();
        let net = ConvNet::new(graph, [8, 8], machine, &|_| true, &mut |_, _| {});
        net.map(|_| ()).unwrap_err().to_string()
    };
    let dilated = Conv { dilation: [2, 2], ..conv(4, [3, 3]) };
    assert!(build(Op::Conv(dilated)).starts_with("layer odd: "), "{}", build(Op::Conv(dilated)));
    assert!(build(Op::Conv(Conv { groups: 2, ..conv(4, [3, 3]) })).contains("groups"));
    let swish = Conv { activation: Some(Activation::Swish), ..conv(4, [3, 3]) };
    assert!(build(Op::Conv(swish)).contains("Swish"));
    let sigmoid = Conv { activation: Some(Activation::Sigmoid), ..conv(4, [3, 3]) };
    assert!(build(Op::Conv(sigmoid)).contains("Sigmoid"));
    assert!(build(Op::Act(Activation::Gelu)).contains("Gelu"));
}
