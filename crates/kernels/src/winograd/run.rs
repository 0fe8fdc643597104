//! The three steps of each group of tiles.

use std::marker::PhantomData;
use std::ops::Range;

use super::cover::{CLASSES, Part};
use super::input::InputTask;
use super::output::OutputTask;
use super::scheme::{F2, F2Of5, F3, F3Of7, F4, F6, One, Scheme};
use super::{Groups, Lengths, Sharing, Tile, Winograd};
use crate::Products;
use crate::bf16::{Bf16, Bf16Pair, F32, Operand};
use crate::gemm::Product;
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::{Workers, chunk_range};
use crate::place::Place;
use crate::simd::{Element, Form};
use crate::workspace::{Space, Workspace};

/// What is convolved, what is added, and where it goes.
#[derive(Debug, Clone, Copy)]
struct Images<'a> {
    count: usize,
    input: &'a [f32],
    residual: Option<&'a [f32]>,
    output: Place,
}

/// A group of tiles on its way.
struct Group<'a> {
    images: Images<'a>,
    tiles: Range<usize>,
    lengths: Lengths,
    inputs: Shared,
    products: Shared,
    /// Who runs each step's tasks, and into how many it is divided.
    workers: Workers,
    tasks: usize,
}

impl Group<'_> {
    /// Runs a task for each part of the tiles.
    fn each_part(&self, task: impl Fn(Range<usize>) + Sync + Send) {
        let parts = self.tasks.min(self.tiles.len());
        self.workers.each(parts, |index| {
            let chunk = chunk_range(self.tiles.len(), parts, index);
            task(self.tiles.start + chunk.start..self.tiles.start + chunk.end);
        });
    }
}

impl Winograd {
    /// Convolves `images` images; lengths were checked by the network. `residual` is added before the activation.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        output: Place,
        with: (Workers, &Workspace),
    ) {
        let images = Images { count: images, input, residual, output };
        match self.tile {
            Tile::Two => self.run_schemes::<F2, F2>(images, with),
            Tile::Three => self.run_schemes::<F3, F3>(images, with),
            Tile::Four => self.run_schemes::<F4, F4>(images, with),
            Tile::Six => self.run_schemes::<F6, F6>(images, with),
            Tile::TwoOfFive => self.run_schemes::<F2Of5, F2Of5>(images, with),
            Tile::ThreeAcross => self.run_schemes::<One, F4>(images, with),
            Tile::ThreeDown => self.run_schemes::<F4, One>(images, with),
            Tile::SevenAcross => self.run_schemes::<One, F3Of7>(images, with),
            Tile::SevenDown => self.run_schemes::<F3Of7, One>(images, with),
        }
    }

    /// With the schemes `Y` down and `X` across.
    fn run_schemes<Y: Scheme, X: Scheme>(
        &self,
        images: Images<'_>,
        (workers, workspace): (Workers, &Workspace),
    ) {
        let Groups { tiles: total, size, count, sharing } = self.groups(images.count, workers);
        // Those of a group's steps.
        let within = if sharing == Sharing::Thread { Workers::OneOf(1) } else { workers };
        let run = |index: usize| {
            let tiles = index * size..((index + 1) * size).min(total);
            let spaces = match sharing {
                Sharing::Thread => &workspace.per_thread_spaces,
                Sharing::Pool => &workspace.spaces,
            };
            spaces.with(|space| {
                let lengths = self.lengths(tiles.len());
                let Space { inputs, products } = space;
                inputs.reserve(lengths.inputs);
                products.reserve(lengths.products);
                let group = Group {
                    images,
                    tiles,
                    lengths,
                    inputs: Shared(inputs.as_mut_ptr()),
                    products: Shared(products.as_mut_ptr()),
                    workers: within,
                    tasks: if within.count() > 1 { 4 * within.count() } else { 1 },
                };
                let patches = &workspace.patches;
                match (self.weights.operand(), self.from) {
                    (Products::F32, _) => {
                        self.transform_inputs::<Y, X, F32, f32>(&group, patches);
                    }
                    (Products::Bf16, Form::F32) => {
                        self.transform_inputs::<Y, X, Bf16, f32>(&group, patches);
                    }
                    (Products::Bf16, Form::Bf16) => {
                        self.transform_inputs::<Y, X, Bf16, u16>(&group, patches);
                    }
                    (Products::Bf16Pair, _) => {
                        self.transform_inputs::<Y, X, Bf16Pair, f32>(&group, patches);
                    }
                }
                self.multiply::<Y, X>(&group);
                match images.output.form {
                    Form::F32 => self.transform_outputs::<Y, X, f32>(&group),
                    Form::Bf16 => self.transform_outputs::<Y, X, u16>(&group),
                }
            });
        };
        match sharing {
            Sharing::Thread => workers.each(count, run),
            Sharing::Pool => (0..count).for_each(run),
        }
    }

    fn transform_inputs<Y: Scheme, X: Scheme, O: Operand, I: Element>(
        &self,
        group: &Group<'_>,
        patches: &Pool<Buffer>,
    ) {
        group.each_part(|tiles| {
            patches.with(|patch| {
                let [whole, right, bottom, corner] = self.cover.parts(group.tiles.clone(), tiles);
                self.transform_input::<Y, X, O, I>(group, patch, 0, whole);
                self.transform_input::<Y, X::Filler, O, I>(group, patch, 1, right);
                self.transform_input::<Y::Filler, X, O, I>(group, patch, 2, bottom);
                self.transform_input::<Y::Filler, X::Filler, O, I>(group, patch, 3, corner);
            });
        });
    }

    /// Tiles of one class, of the scheme `Y` down and `X` across.
    fn transform_input<Y: Scheme, X: Scheme, O: Operand, I: Element>(
        &self,
        group: &Group<'_>,
        patch: &mut Buffer,
        class: usize,
        Part { tiles, row }: Part,
    ) {
        let Lengths { rows, input_stride, low_offset, .. } = group.lengths;
        let task = InputTask::<Y, X, O, I> {
            geometry: &self.geometry,
            grid: &self.cover.grids()[class],
            images: I::of(group.images.input),
            tiles,
            row,
            rows,
            blocks: self.weights.blocks(),
            to: group.inputs.get().cast(),
            matrix_stride: input_stride,
            low_offset,
            patch,
            schemes: PhantomData,
        };
        // SAFETY: `lengths` of this group's tiles sized the space, strides and offset are its; each task has tiles, and so
        // rows, of its own. `run_schemes` takes elements as wide as the weights want them. `Network::compile` makes plans
        // only for an `isa` that was detected.
        unsafe { I::dispatch(self.isa, task) }
    }

    /// One product for each place of the transformed tile, of the rows of those classes that have the place.
    fn multiply<Y: Scheme, X: Scheme>(&self, group: &Group<'_>) {
        let Lengths { rows, input_stride, low_offset, product_stride, .. } = group.lengths;
        let matrices = Y::N * X::N;
        let (panels, columns) = (self.weights.panels(), self.weights.tile_columns());
        let parts = match group.tasks {
            1 => 1,
            tasks => tasks.div_ceil(matrices).max(2).min(panels),
        };
        let input_bytes = input_stride * self.weights.operand().size();
        let row_stride = self.width();
        let classes = self.cover.parts(group.tiles.clone(), group.tiles.clone());
        group.workers.each(matrices * parts, |index| {
            let (matrix, panels) = (index / parts, chunk_range(panels, parts, index % parts));
            let runs =
                runs(&classes, has_filler::<Y>(matrix / X::N), has_filler::<X>(matrix % X::N));
            let several = runs.iter().filter(|run| !run.is_empty()).count() > 1;
            // A panel's weights are in cache for the second run of rows.
            let step = if several { 1 } else { panels.len().max(1) };
            for first in panels.clone().step_by(step) {
                for run in runs.iter().filter(|run| !run.is_empty()) {
                    // SAFETY: `lengths` made room for a matrix a place, so far apart, and `matrix` is one; sums have a row of
                    // all panels. The inputs' tasks have ended, so all rows of the run are set; `lengths` rounded rows up
                    // so that whole register tiles are there from any row; tasks have matrices and panels of their own.
                    // `isa` was detected.
                    unsafe {
                        let from = group.inputs.get().byte_add(matrix * input_bytes);
                        let to = group.products.get().add(matrix * product_stride);
                        let product = Product {
                            rows: run.len(),
                            stored_rows: rows,
                            from: from.add(self.weights.blocks().at(rows, run.start, 0)),
                            low_offset,
                            to: to.add(run.start * row_stride + first * columns),
                            row_stride,
                            panel_stride: columns,
                            panels: first..panels.end.min(first + step),
                        };
                        self.weights.multiply(matrix, product);
                    }
                }
            }
        });
    }

    fn transform_outputs<Y: Scheme, X: Scheme, E: Element>(&self, group: &Group<'_>) {
        group.each_part(|tiles| {
            let [whole, right, bottom, corner] = self.cover.parts(group.tiles.clone(), tiles);
            self.transform_output::<Y, X, E>(group, 0, whole);
            self.transform_output::<Y, X::Filler, E>(group, 1, right);
            self.transform_output::<Y::Filler, X, E>(group, 2, bottom);
            self.transform_output::<Y::Filler, X::Filler, E>(group, 3, corner);
        });
    }

    /// Tiles of one class, of the scheme `Y` down and `X` across.
    fn transform_output<Y: Scheme, X: Scheme, E: Element>(
        &self,
        group: &Group<'_>,
        class: usize,
        Part { tiles, row }: Part,
    ) {
        let task = OutputTask::<Y, X, E> {
            geometry: &self.geometry,
            grid: &self.cover.grids()[class],
            tiles,
            row,
            from: group.products.get(),
            matrix_stride: group.lengths.product_stride,
            width: self.width(),
            bias: self.bias.as_slice(),
            residual: group.images.residual.map(E::of),
            out: group.images.output,
            schemes: PhantomData,
        };
        // SAFETY: the products' tasks have ended, so all rows are set; `Network::run` checked that `output` has room for all
        // images, of such elements; a tile's outputs are its own. `isa` was detected.
        unsafe { E::dispatch(self.isa, task) }
    }
}

/// Whether the tiles that fill up have this place, down or across.
fn has_filler<F: Scheme>(place: usize) -> bool {
    (0..F::Filler::N).any(|index| F::Filler::place(index) == place)
}

/// The rows of a group at a place that tiles that fill up have or have not, down and across: two runs at most.
fn runs(classes: &[Part; CLASSES], down: bool, across: bool) -> [Range<usize>; 2] {
    let [whole, right, bottom, corner] = [0, 1, 2, 3]
        .map(|class: usize| classes[class].row..classes[class].row + classes[class].tiles.len());
    match (down, across) {
        (false, false) => [whole, 0..0],
        (false, true) => [whole.start..right.end, 0..0],
        (true, false) if right.is_empty() => [whole.start..bottom.end, 0..0],
        (true, false) => [whole, bottom],
        (true, true) => [whole.start..corner.end, 0..0],
    }
}
