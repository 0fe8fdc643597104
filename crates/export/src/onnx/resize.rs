//! Pillow's resizing inside of the graph, level for level: two matrix products with fixed-point weights that are made of the
//! picture's size.
//!
//! Some programs compute every product in f32 and whole numbers through f32 as well, so a weight of 22 bits is split into
//! parts of 8 whose products with levels are exact there, and quotients are put right by their remainders. `images::resize` is the
//! same algorithm on the processor.

use images::{ImageSize, Interpolation};

use super::draft::Draft;
use super::proto::{Attribute, Data, Dim, Type, value};
use super::protobuf::Message;
use crate::ExportError;

/// Bits of a weight's fraction, as in Pillow.
const PRECISION_BITS: u32 = 22;
/// Bits of a part of a weight.
const PART: i64 = 1 << 8;

/// From `pixels`, uint8 (1, H, W, 3), to f32 whole numbers (1, height, width, 3).
pub(super) fn resize(
    draft: &mut Draft<'_>,
    pixels: &str,
    size: ImageSize,
    interpolation: Interpolation,
) -> Result<String, ExportError> {
    if matches!(interpolation, Interpolation::Nearest | Interpolation::TfBilinear) {
        return Err(ExportError::Resize { filter: interpolation.name() });
    }
    let [height, width] = [size.height, size.width].map(i64::from);
    let to_float = [("to", Attribute::Int(Type::Float as i64))];
    let float = draft.node("Cast", "resize/float", &[pixels], &to_float);
    let batch = draft.ints("resize/batch_axis", &[0]);
    let image = draft.node("Squeeze", "resize/image", &[&float, &batch], &[]);
    let shape = draft.node("Shape", "resize/shape", &[pixels], &[]);
    let mut extent = |name: &str, axis: i64| {
        let axis = draft.constant(&format!("resize/{name}_axis"), &[], Data::Int64(vec![axis]));
        draft.node("Gather", &format!("resize/{name}"), &[&shape, &axis], &[])
    };
    let (from_height, from_width) = (extent("height", 1), extent("width", 2));
    let mut make = Resize { draft, prefix: "resize/rows".to_owned() };
    let rows = make.weights(&from_height, height, interpolation);
    make.prefix = "resize/columns".to_owned();
    let columns = make.weights(&from_width, width, interpolation);

    // Pillow's order of the passes, which shows since each rounds.
    make.prefix = "resize/order".to_owned();
    let fewer_rows = make.two("Sub", "fewer_rows", &from_height, height);
    let fewer_columns = make.two("Sub", "fewer_columns", &from_width, width);
    let twice = make.two("Mul", "twice", &fewer_columns, 2);
    let taller = make.node("Greater", "taller", &[&fewer_rows, &twice]);
    let fewer = make.two("Greater", "fewer", &fewer_rows, 0);
    let vertical_first = make.node("And", "vertical_first", &[&fewer, &taller]);
    let dims = [height as usize, width as usize, 3].map(Dim::Fixed);
    let mut branch = |name: &str, is_vertical_first: bool| {
        let outside = std::mem::take(&mut make.draft.nodes);
        make.prefix = format!("resize/{name}");
        let made = match is_vertical_first {
            true => {
                let first = make.vertical("vertical", &image, &rows, height);
                make.horizontal("horizontal", &first, &columns)
            }
            false => {
                let first = make.horizontal("horizontal", &image, &columns);
                make.vertical("vertical", &first, &rows, height)
            }
        };
        let nodes = std::mem::replace(&mut make.draft.nodes, outside);
        let graph = nodes.iter().fold(Message::new(), |graph, node| graph.message(1, node));
        graph.text(2, name).message(12, &value(&made, Type::Float, &dims))
    };
    let branches = [
        ("then_branch", Attribute::Graph(branch("vertical_first", true))),
        ("else_branch", Attribute::Graph(branch("horizontal_first", false))),
    ];
    let resized = draft.node("If", "resize", &[&vertical_first], &branches);
    Ok(draft.node("Unsqueeze", "resize/batch", &[&resized, &batch], &[]))
}

/// The graph while its resizing is put together.
struct Resize<'d, 'a> {
    draft: &'d mut Draft<'a>,
    /// What the names of its nodes start with.
    prefix: String,
}

impl Resize<'_, '_> {
    fn node(&mut self, operator: &str, name: &str, inputs: &[&str]) -> String {
        self.draft.node(operator, &format!("{}/{name}", self.prefix), inputs, &[])
    }

    fn cast(&mut self, name: &str, x: &str, to: Type) -> String {
        let name = format!("{}/{name}", self.prefix);
        self.draft.node("Cast", &name, &[x], &[("to", Attribute::Int(to as i64))])
    }

    fn whole(&mut self, value: i64) -> String {
        self.draft.constant(&format!("resize/{value}"), &[], Data::Int64(vec![value]))
    }

    fn double(&mut self, value: f64) -> String {
        self.draft.constant(&format!("resize/{value}"), &[], Data::Double(vec![value]))
    }

    /// An operation with a whole number.
    fn two(&mut self, operator: &str, name: &str, x: &str, value: i64) -> String {
        let value = self.whole(value);
        self.node(operator, name, &[x, &value])
    }

    /// Quotient, rounded down, and remainder of whole numbers that are not negative. A quotient through f32 can be one off.
    fn divide(&mut self, name: &str, a: &str, b: &str) -> (String, String) {
        let rough = self.node("Div", &format!("{name}/rough"), &[a, b]);
        let product = self.node("Mul", &format!("{name}/product"), &[&rough, b]);
        let rest = self.node("Sub", &format!("{name}/rest"), &[a, &product]);
        let zero = self.whole(0);
        let less = self.node("Less", &format!("{name}/less"), &[&rest, &zero]);
        let more = self.node("GreaterOrEqual", &format!("{name}/more"), &[&rest, b]);
        let less = self.cast(&format!("{name}/too_large"), &less, Type::Int64);
        let more = self.cast(&format!("{name}/too_small"), &more, Type::Int64);
        let by = self.node("Sub", &format!("{name}/by"), &[&more, &less]);
        let quotient = self.node("Add", &format!("{name}/quotient"), &[&rough, &by]);
        let product = self.node("Mul", &format!("{name}/whole"), &[&by, b]);
        let rest = self.node("Sub", &format!("{name}/remainder"), &[&rest, &product]);
        (quotient, rest)
    }

    /// The weights of one axis, from a number of pixels that only the picture says to `to`: three matrices (to, from) of f32, of
    /// which the first counts 2^16 fold and the second 2^8 fold.
    fn weights(&mut self, from: &str, to: i64, interpolation: Interpolation) -> [String; 3] {
        // The distance of pixel x from the centre of the new pixel o, over the filter's scale: a fraction of whole numbers,
        // ((2x + 1) to - (2o + 1) from) / (2 max(from, to)).
        let (zero, one) = (self.whole(0), self.whole(1));
        let pixels = self.node("Range", "pixels", &[&zero, from, &one]);
        let pixels = self.two("Mul", "pixels_twice", &pixels, 2);
        let pixels = self.two("Add", "pixels_middle", &pixels, 1);
        let pixels = self.two("Mul", "pixels_scaled", &pixels, to);
        let new: Vec<i64> = (0..to).map(|o| 2 * o + 1).collect();
        let name = format!("{}/new", self.prefix);
        let new = self.draft.constant(&name, &[to as usize, 1], Data::Int64(new));
        let new = self.node("Mul", "new_scaled", &[&new, from]);
        let distance = self.node("Sub", "distance", &[&pixels, &new]);
        let most = self.two("Max", "most", from, to);
        let unit = self.two("Mul", "unit", &most, 2);
        let fixed = match interpolation {
            Interpolation::Bicubic => self.fixed_of_doubles(&distance, &unit, Self::cubic),
            Interpolation::Lanczos => self.fixed_of_doubles(&distance, &unit, Self::lanczos),
            _ => self.fixed_triangle(&distance, &unit),
        };
        // Quotients of these are towards 0, and exact: by powers of two.
        let high = self.two("Div", "high", &fixed, PART * PART);
        let product = self.two("Mul", "high_product", &high, PART * PART);
        let rest = self.node("Sub", "high_rest", &[&fixed, &product]);
        let middle = self.two("Div", "middle", &rest, PART);
        let product = self.two("Mul", "middle_product", &middle, PART);
        let low = self.node("Sub", "low", &[&rest, &product]);
        [("high_part", high), ("middle_part", middle), ("low_part", low)]
            .map(|(name, part)| self.cast(name, &part, Type::Float))
    }

    /// The triangle is linear in the distance, so all of it is in whole numbers: a long division, by 8, 7 and 7 bits.
    fn fixed_triangle(&mut self, distance: &str, unit: &str) -> String {
        let far = self.node("Abs", "far", &[distance]);
        let near = self.node("Sub", "near", &[unit, &far]);
        let weight = self.two("Max", "weight", &near, 0);
        let sum = self.sum(&weight);
        let (mut quotient, mut rest) = self.divide("bits0", &weight, &sum);
        for (bits, name) in [(8, "bits8"), (7, "bits15"), (7, "bits22")] {
            let shifted = self.two("Mul", &format!("{name}/shifted"), &rest, 1 << bits);
            let (digits, left) = self.divide(name, &shifted, &sum);
            let before = self.two("Mul", &format!("{name}/before"), &quotient, 1 << bits);
            quotient = self.node("Add", &format!("{name}/sum"), &[&before, &digits]);
            rest = left;
        }
        let twice = self.two("Mul", "half", &rest, 2);
        let up = self.node("GreaterOrEqual", "rounds_up", &[&twice, &sum]);
        let up = self.cast("up", &up, Type::Int64);
        self.node("Add", "fixed", &[&quotient, &up])
    }

    fn sum(&mut self, weights: &str) -> String {
        let axis = self.draft.ints("resize/columns_axis", &[1]);
        self.node("ReduceSum", "weight_sum", &[weights, &axis])
    }

    fn fixed_of_doubles(
        &mut self,
        distance: &str,
        unit: &str,
        filter: fn(&mut Self, &str) -> String,
    ) -> String {
        let distance = self.cast("distance_double", distance, Type::Double);
        let unit = self.cast("unit_double", unit, Type::Double);
        let x = self.node("Div", "x", &[&distance, &unit]);
        let weight = filter(self, &x);
        let sum = self.sum(&weight);
        let weight = self.node("Div", "normalised", &[&weight, &sum]);
        let scale = self.double(f64::from(1u32 << PRECISION_BITS));
        let scaled = self.node("Mul", "scaled", &[&weight, &scale]);
        // Halves go away from 0.
        let sign = self.node("Sign", "sign", &[&scaled]);
        let size = self.node("Abs", "size", &[&scaled]);
        let half = self.double(0.5);
        let size = self.node("Add", "size_and_half", &[&size, &half]);
        let size = self.node("Floor", "size_rounded", &[&size]);
        let fixed = self.node("Mul", "rounded", &[&size, &sign]);
        self.cast("fixed", &fixed, Type::Int64)
    }

    /// Keys' cubic with a = -0.5.
    fn cubic(&mut self, x: &str) -> String {
        let x = self.node("Abs", "far", &[x]);
        // ((a + 2) x - (a + 3)) x x + 1
        let near = self.horner("near", &x, &[1.5, -2.5, 0.0, 1.0]);
        // (((x - 5) x + 8) x - 4) a
        let far = self.horner("outer", &x, &[1.0, -5.0, 8.0, -4.0]);
        let a = self.double(-0.5);
        let far = self.node("Mul", "outer_scaled", &[&far, &a]);
        let (one, two, zero) = (self.double(1.0), self.double(2.0), self.double(0.0));
        let inside = self.node("Less", "is_near", &[&x, &one]);
        let within = self.node("Less", "is_within", &[&x, &two]);
        let far = self.node("Where", "outer_or_0", &[&within, &far, &zero]);
        self.node("Where", "weight", &[&inside, &near, &far])
    }

    fn horner(&mut self, name: &str, x: &str, factors: &[f64]) -> String {
        let mut sum = self.double(factors[0]);
        for (i, factor) in factors.iter().enumerate().skip(1) {
            let product = self.node("Mul", &format!("{name}{i}/product"), &[&sum, x]);
            let factor = self.double(*factor);
            sum = self.node("Add", &format!("{name}{i}"), &[&product, &factor]);
        }
        sum
    }

    /// `sinc(x) sinc(x / 3)`, three lobes.
    fn lanczos(&mut self, x: &str) -> String {
        let three = self.double(3.0);
        let third = self.node("Div", "third", &[x, &three]);
        let narrow = self.sinc("sinc", x);
        let wide = self.sinc("sinc_third", &third);
        let product = self.node("Mul", "window", &[&narrow, &wide]);
        let far = self.node("Abs", "far", &[x]);
        let within = self.node("Less", "is_within", &[&far, &three]);
        let zero = self.double(0.0);
        self.node("Where", "weight", &[&within, &product, &zero])
    }

    fn sinc(&mut self, name: &str, x: &str) -> String {
        let (pi, zero, one) =
            (self.double(std::f64::consts::PI), self.double(0.0), self.double(1.0));
        let is_zero = self.node("Equal", &format!("{name}/is_0"), &[x, &zero]);
        let x = self.node("Mul", &format!("{name}/pi"), &[x, &pi]);
        // Not 0 / 0.
        let safe = self.node("Where", &format!("{name}/safe"), &[&is_zero, &one, &x]);
        let sine = self.node("Sin", &format!("{name}/sine"), &[&safe]);
        let value = self.node("Div", &format!("{name}/value"), &[&sine, &safe]);
        self.node("Where", name, &[&is_zero, &one, &value])
    }

    /// (H, W, 3) by the columns' weights (width, W): (H, width, 3).
    fn horizontal(&mut self, name: &str, image: &str, weights: &[String; 3]) -> String {
        self.products(name, image, weights)
    }

    /// (H, W, 3) by the rows' weights (height, H): (height, W, 3).
    fn vertical(&mut self, name: &str, image: &str, weights: &[String; 3], height: i64) -> String {
        let lines = self.draft.ints("resize/lines", &[0, -1]);
        let lines = self.node("Reshape", &format!("{name}/lines"), &[image, &lines]);
        let made = self.products(name, &lines, weights);
        let shape = self.draft.ints("resize/map", &[height, -1, 3]);
        self.node("Reshape", &format!("{name}/map"), &[&made, &shape])
    }

    /// The products, put together, rounded and kept in 0 to 255.
    fn products(&mut self, name: &str, x: &str, weights: &[String; 3]) -> String {
        let mut sum = self.whole(0);
        for (i, part) in weights.iter().enumerate() {
            let product = self.node("MatMul", &format!("{name}/product{i}"), &[part, x]);
            let product = self.cast(&format!("{name}/whole{i}"), &product, Type::Int64);
            let before = self.two("Mul", &format!("{name}/before{i}"), &sum, PART);
            sum = self.node("Add", &format!("{name}/sum{i}"), &[&before, &product]);
        }
        let sum = self.two("Add", &format!("{name}/half"), &sum, 1 << (PRECISION_BITS - 1));
        let sum = self.two("Max", &format!("{name}/not_negative"), &sum, 0);
        let one = self.whole(1 << PRECISION_BITS);
        let (level, _) = self.divide(&format!("{name}/level"), &sum, &one);
        let level = self.two("Min", &format!("{name}/at_most_255"), &level, 255);
        self.cast(&format!("{name}/levels"), &level, Type::Float)
    }
}
