//! The table that Keras's `model.summary()` prints.

use crate::{Graph, GraphError, ParamSpec};
use std::fmt::Write as _;

/// Column ends of a chain's table: .45, .85 and 1 of 65 characters.
const CHAIN: &[usize] = &[29, 55, 65];
/// Column ends of a table with connections: .33, .55, .67 and 1 of 98 characters, rounded down.
const CONNECTED: &[usize] = &[32, 53, 65, 98];

/// The graph as a table in the layout of Keras 2.0.8, which the lesson shows: a row a layer with output shape and number of
/// parameters, then the totals. `None` stands for the batch axis. A graph that is no chain has a column "Connected to", with
/// a line an input. As in Keras, fields that are too long for their column are cut.
///
/// `image` is `[height, width]`.
///
/// # Errors
/// [`GraphError::Shape`].
pub fn summary(graph: &Graph, image: [usize; 2]) -> Result<String, GraphError> {
    let columns = if graph.is_chain() { CHAIN } else { CONNECTED };
    let width = columns.last().copied().unwrap_or_default();
    let (thin, thick) = ("_".repeat(width), "=".repeat(width));
    let shapes = graph.shapes(image)?;
    let params = graph.params(image)?;
    let titles = ["Layer (type)", "Output Shape", "Param #", "Connected to"];
    let mut table = format!("{thin}\n{}\n{thick}\n", line(&titles, columns));
    let mut params_left = params.as_slice();
    for (index, (node, shape)) in graph.nodes().iter().zip(&shapes).enumerate() {
        // Parameters come node by node.
        let own = params_left.iter().take_while(|spec| spec.node == node.name).count();
        let (own, rest) = params_left.split_at(own);
        params_left = rest;
        let first = format!("{} ({})", node.name, node.op.class_name());
        let dims: Vec<String> = shape.dims().iter().map(usize::to_string).collect();
        let shape = format!("(None, {})", dims.join(", "));
        let count = total(own, |_| true).to_string();
        let mut connections =
            node.inputs.iter().map(|&input| format!("{}[0][0]", graph.nodes()[input].name));
        let connection = connections.next().unwrap_or_default();
        let _ = writeln!(table, "{}", line(&[&first, &shape, &count, &connection], columns));
        if columns.len() == CONNECTED.len() {
            for connection in connections {
                let _ = writeln!(table, "{}", line(&["", "", "", &connection], columns));
            }
        }
        let last = index + 1 == shapes.len();
        let _ = writeln!(table, "{}", if last { &thick } else { &thin });
    }
    let trainable = total(&params, |spec| spec.role.is_trainable());
    let frozen = total(&params, |spec| !spec.role.is_trainable());
    let _ = writeln!(
        table,
        "Total params: {}\nTrainable params: {}\nNon-trainable params: {}\n{thin}",
        thousands(trainable.saturating_add(frozen)),
        thousands(trainable),
        thousands(frozen)
    );
    Ok(table)
}

fn total(params: &[ParamSpec], wanted: impl Fn(&ParamSpec) -> bool) -> usize {
    let values = params.iter().filter(|spec| wanted(spec)).map(ParamSpec::values);
    values.fold(0, usize::saturating_add)
}

/// One row, each field cut and padded to the end of its column, as Keras's `print_row` does.
fn line(fields: &[&str], columns: &[usize]) -> String {
    let mut line = String::new();
    for (field, &end) in fields.iter().zip(columns) {
        if !line.is_empty() {
            line.pop();
            line.push(' ');
        }
        line.push_str(field);
        line = line.chars().take(end).collect();
        let missing = end.saturating_sub(line.chars().count());
        line.extend(std::iter::repeat_n(' ', missing));
    }
    line
}

/// A number with commas between groups of three digits.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder, Conv, Norm, Op};

    #[test]
    fn branches_have_a_line_an_input() {
        let mut builder = Builder::new();
        let pixels = builder.input("input_1", 3);
        let conv = Op::Conv(Conv::new(3, [1, 1]).bias(false));
        let conv = builder.add("a_convolution_with_a_long_name", conv, &[pixels]);
        let norm = Op::Norm(Norm::default());
        let norm = builder.add("norm", norm, &[conv]);
        let sum = builder.add("sum", Op::Add { scale: None }, &[pixels, norm]);
        let relu = builder.add("relu", Op::Act(Activation::Relu), &[sum]);
        let table = summary(&builder.finish(relu).unwrap(), [8, 10]).unwrap();
        let (thin, thick) = ("_".repeat(98), "=".repeat(98));
        let expected = format!(
            "{thin}\n\
            Layer (type)                    Output Shape         Param #     Connected to                     \n\
            {thick}\n\
            input_1 (InputLayer)            (None, 8, 10, 3)     0                                            \n\
            {thin}\n\
            a_convolution_with_a_long_name  (None, 8, 10, 3)     9           input_1[0][0]                    \n\
            {thin}\n\
            norm (BatchNormalization)       (None, 8, 10, 3)     12          a_convolution_with_a_long_name[0]\n\
            {thin}\n\
            sum (Add)                       (None, 8, 10, 3)     0           input_1[0][0]                    \n\
            {0}norm[0][0]                       \n\
            {thin}\n\
            relu (Activation)               (None, 8, 10, 3)     0           sum[0][0]                        \n\
            {thick}\n\
            Total params: 21\nTrainable params: 15\nNon-trainable params: 6\n{thin}\n",
            " ".repeat(65)
        );
        assert_eq!(table, expected);
    }

    #[test]
    fn commas_stand_between_groups_of_three() {
        assert_eq!([0, 999, 1000, 14_714_688].map(thousands), ["0", "999", "1,000", "14,714,688"]);
    }
}
