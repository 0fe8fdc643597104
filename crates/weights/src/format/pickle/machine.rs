//! The stack machine: opcodes of protocols 2 to 5 that dictionaries of arrays need.

use std::collections::HashMap;

use super::super::FormatError;
use super::{Arena, Array, Global, Id, Library, Node, Storage, Stream, TensorView};

/// Most opcodes of one pickle; a checkpoint of a thousand layers needs about 60,000.
const MAX_STEPS: usize = 2_000_000;
/// Strings up to this length are read as text, longer ones noted as a [`super::Blob`].
const MAX_TEXT: u64 = 4096;
/// Most sizes, names and states a call may carry as arguments.
const MAX_ARGUMENTS: usize = 64;

/// Runs one pickle, from the stream's position to its `STOP`.
///
/// # Errors
/// [`FormatError`] for whatever is not a plain dictionary of arrays.
pub(in super::super) fn load(
    stream: &mut Stream,
    library: Library,
) -> Result<(Arena, Id), FormatError> {
    let mut machine = Machine {
        stream,
        library,
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..MAX_STEPS {
        let opcode = machine.stream.byte()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok((machine.arena, root));
        }
        machine.step(opcode)?;
    }
    Err(FormatError::refused(format!("a pickle of more than {MAX_STEPS} steps")))
}

struct Machine<'a> {
    stream: &'a mut Stream,
    library: Library,
    arena: Arena,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn damaged<T>(&self, what: &str) -> Result<T, FormatError> {
        Err(FormatError::Damaged(format!("pickle: {what} before byte {}", self.stream.position())))
    }

    fn push(&mut self, node: Node) {
        let id = self.arena.push(node);
        self.stack.push(id);
    }

    /// The topmost value above the last mark.
    fn pop(&mut self) -> Result<Id, FormatError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return self.damaged("the stack is empty");
        }
        self.stack.pop().map_or_else(|| self.damaged("the stack is empty"), Ok)
    }

    fn top(&self) -> Result<Id, FormatError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.get(floor..) {
            Some([.., top]) => Ok(*top),
            _ => self.damaged("the stack is empty"),
        }
    }

    /// The values above the last mark, which is removed.
    fn pop_mark(&mut self) -> Result<Vec<Id>, FormatError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => self.damaged("a mark is missing"),
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), FormatError> {
        match opcode {
            0x80 => match self.stream.byte()? {
                2..=5 => {}
                other => return Err(FormatError::unsupported(format!("pickle protocol {other}"))),
            },
            0x95 => drop(self.stream.array::<8>()?), // FRAME: where the writer's blocks begin
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'J' => self.integer_of::<4>(|b| i128::from(i32::from_le_bytes(b)))?,
            b'K' => self.integer_of::<1>(|b| i128::from(b[0]))?,
            b'M' => self.integer_of::<2>(|b| i128::from(u16::from_le_bytes(b)))?,
            0x8a => self.long()?,
            b'G' => {
                self.stream.array::<8>()?;
                self.push(Node::Float);
            }
            b'X' | b'T' | b'B' | b'U' | b'C' | 0x8c | 0x8d | 0x8e | 0x96 => self.string(opcode)?,
            b')' => self.push(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let mut items =
                    (0..opcode - 0x84).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Node::Tuple(items));
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items));
            }
            b']' => self.push(Node::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            b'c' => {
                let (module, name) = (self.stream.line()?, self.stream.line()?);
                self.push(Node::Global(Global::find(self.library, &module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.arena.str(module), self.arena.str(name)) {
                    (Some(module), Some(name)) => {
                        let global = Global::find(self.library, module, name)?;
                        self.push(Node::Global(global));
                    }
                    _ => return self.damaged("a name is not text"),
                }
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.build(object, state)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.persistent(id)?;
            }
            b'q' => {
                let key = self.stream.byte()?;
                self.memoise(u32::from(key))?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.stream.array()?);
                self.memoise(key)?;
            }
            0x94 => self.memoise(self.memo.len() as u32)?,
            b'h' => {
                let key = self.stream.byte()?;
                self.recall(u32::from(key))?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.stream.array()?);
                self.recall(key)?;
            }
            other => {
                return Err(FormatError::refused(format!(
                    "the pickle uses {}, which no weight file needs",
                    opcode_name(other)
                )));
            }
        }
        Ok(())
    }

    fn integer_of<const N: usize>(
        &mut self,
        f: impl Fn([u8; N]) -> i128,
    ) -> Result<(), FormatError> {
        let bytes = self.stream.array()?;
        self.push(Node::Int(f(bytes)));
        Ok(())
    }

    fn long(&mut self) -> Result<(), FormatError> {
        let len = usize::from(self.stream.byte()?);
        if len > 16 {
            return Err(FormatError::refused(format!(
                "a whole number of {len} bytes in the pickle"
            )));
        }
        let bytes = self.stream.bytes(len)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..len].copy_from_slice(&bytes);
        self.push(Node::Int(i128::from_le_bytes(wide)));
        Ok(())
    }

    /// All strings, of text (`X`, 0x8c, 0x8d), of bytes (`B`, `C`, 0x8e, 0x96), and Python 2's of both (`T`, `U`).
    fn string(&mut self, opcode: u8) -> Result<(), FormatError> {
        let len = match opcode {
            0x8c | b'C' | b'U' => u64::from(self.stream.byte()?),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.stream.array()?),
            _ => u64::from(u32::from_le_bytes(self.stream.array()?)),
        };
        let (is_text, python2) =
            (matches!(opcode, b'X' | 0x8c | 0x8d), matches!(opcode, b'T' | b'U'));
        let node = if len > MAX_TEXT || !(is_text || python2) {
            Node::Blob(self.stream.blob(len, is_text)?)
        } else {
            let bytes = self.stream.bytes(len as usize)?;
            match String::from_utf8(bytes) {
                Ok(text) => Node::Str(text),
                Err(e) if python2 => {
                    Node::Str(e.into_bytes().into_iter().map(char::from).collect())
                }
                Err(_) => return self.damaged("a string is not UTF-8"),
            }
        };
        self.push(node);
        Ok(())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), FormatError> {
        let list = self.top()?;
        match self.arena.get_mut(list) {
            Some(Node::List(list)) => list.extend_from_slice(items),
            _ => return self.damaged("items for what is not a list"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), FormatError> {
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match self.arena.get_mut(dict) {
            Some(Node::Dict(dict)) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)))
            }
            _ => return self.damaged("keys and values for what is not a dictionary"),
        }
        Ok(())
    }

    fn memoise(&mut self, key: u32) -> Result<(), FormatError> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), FormatError> {
        match self.memo.get(&key) {
            Some(&id) => self.stack.push(id),
            None => return self.damaged("a value is recalled that was never kept"),
        }
        Ok(())
    }

    /// `REDUCE`: what calling an allowed name would give, as a plain value.
    fn call(&mut self, function: Id, arguments: Id) -> Result<(), FormatError> {
        let Node::Global(global) = *self.arena.get(function) else {
            return self.damaged("a call of what cannot be called");
        };
        let arguments = match self.arena.items(arguments) {
            Some(items) if items.len() <= MAX_ARGUMENTS => items.to_vec(),
            _ => return self.damaged("a call without arguments"),
        };
        let made = match (global, arguments.as_slice()) {
            (Global::OrderedDict, []) => Some(Node::Dict(Vec::new())),
            (Global::Bytes, []) => Some(Node::Str(String::new())),
            // The same value serves as text and as its own bytes; readers of data turn characters into bytes.
            (Global::Encode, &[text, _]) | (Global::FrozenDict | Global::TorchSize, &[text]) => {
                self.stack.push(text);
                return Ok(());
            }
            (Global::NumpyDtype, &[code, ..]) => self.arena.str(code).and_then(dtype),
            (Global::NumpyReconstruct, &[class, ..]) => match self.arena.get(class) {
                Node::Global(Global::NdArray) => Some(Node::EmptyArray),
                _ => None,
            },
            (Global::NumpyFromBuffer, &[data, dtype, shape, order]) => {
                self.array(shape, dtype, data, self.arena.str(order) == Some("F"))
            }
            (Global::NumpyScalar, _) => Some(Node::Other),
            (
                Global::RebuildTensor | Global::RebuildTensorV2,
                &[storage, offset, shape, stride, ..],
            ) => self.tensor(storage, offset, shape, stride),
            (Global::RebuildParameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                return Ok(());
            }
            _ => None,
        };
        match made {
            Some(node) => self.push(node),
            None => return self.damaged(&format!("a call of {global:?} with unusual arguments")),
        }
        Ok(())
    }

    fn array(&self, shape: Id, dtype: Id, data: Id, fortran: bool) -> Option<Node> {
        let Node::Dtype(code, big_endian) = self.arena.get(dtype) else { return None };
        let (dtype, big_endian) = (code.clone(), *big_endian);
        Some(Node::Array(Box::new(Array {
            shape: self.arena.sizes(shape)?,
            dtype,
            big_endian,
            fortran,
            data,
        })))
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, stride: Id) -> Option<Node> {
        let (shape, stride) = (self.arena.sizes(shape)?, self.arena.sizes(stride)?);
        let is_storage = matches!(self.arena.get(storage), Node::Storage(_));
        let offset = self.arena.int(offset)?;
        (is_storage && shape.len() == stride.len())
            .then(|| Node::Tensor(Box::new(TensorView { storage, offset, shape, stride })))
    }

    /// `BUILD`: the state of an array or of an element type; that of a dictionary (PyTorch's `_metadata`) is left aside.
    fn build(&mut self, object: Id, state: Id) -> Result<(), FormatError> {
        let built = match (self.arena.get(object), self.arena.items(state)) {
            (Node::EmptyArray, Some(&[_version, shape, dtype, fortran, data])) => {
                let fortran = matches!(self.arena.get(fortran), Node::Bool(true));
                self.array(shape, dtype, data, fortran)
            }
            (Node::Dtype(code, _), Some(&[_version, order, ..])) => {
                self.arena.str(order).map(|order| Node::Dtype(code.clone(), order == ">"))
            }
            (Node::Dict(_), _) => return Ok(()),
            _ => None,
        };
        match built {
            Some(node) => self.arena.set(object, node),
            None => return self.damaged("a state for what has none"),
        }
        Ok(())
    }

    /// `BINPERSID`: ("storage", type, key, device, elements), PyTorch's way of naming values that are outside of the pickle.
    fn persistent(&mut self, id: Id) -> Result<(), FormatError> {
        if self.library != Library::Torch {
            return Err(FormatError::refused("the pickle refers to values outside of itself"));
        }
        let items = self.arena.items(id).unwrap_or_default();
        let (Some(&[tag, class, key, _device, elements]), rest) =
            (items.first_chunk::<5>(), items.get(5))
        else {
            return self.damaged("an unusual storage");
        };
        if rest.is_some_and(|&view| !matches!(self.arena.get(view), Node::None)) {
            return Err(FormatError::unsupported(
                "a storage that is a view of another one: save the file again with PyTorch 1.6 or later",
            ));
        }
        let (dtype, item) = match self.arena.get(class) {
            Node::Global(Global::FloatStorage(dtype)) => (Some(*dtype), dtype.size() as u64),
            Node::Global(Global::OtherStorage(size)) => (None, u64::from(*size)),
            _ => return self.damaged("an unusual storage"),
        };
        match (self.arena.str(tag), self.arena.str(key), self.arena.int(elements)) {
            (Some("storage"), Some(_), Some(elements)) => {
                self.push(Node::Storage(Box::new(Storage { dtype, item, key, elements })));
            }
            _ => return self.damaged("an unusual storage"),
        }
        Ok(())
    }
}

/// An element type from its code, such as `f4` or `<f4`. Each array has a copy of it, so it must be short.
fn dtype(code: &str) -> Option<Node> {
    const MAX_CODE: usize = 16;
    let big_endian = code.starts_with('>');
    let code = code.trim_start_matches(['<', '>', '=', '|']);
    (code.len() <= MAX_CODE).then(|| Node::Dtype(code.to_owned(), big_endian))
}

fn opcode_name(opcode: u8) -> String {
    let name = match opcode {
        b'i' => "INST",
        b'o' => "OBJ",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x82..=0x84 => "EXT",
        b'P' => "PERSID",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        b'l' => "LIST",
        b'd' => "DICT",
        b'2' => "DUP",
        0x8b => "LONG4",
        0x8f..=0x91 => "a set",
        b'I' | b'L' | b'F' | b'S' | b'V' | b'p' | b'g' => "an opcode of protocol 0",
        _ => return format!("the unknown opcode {opcode:#04x}"),
    };
    format!("{name} ({opcode:#04x})")
}
