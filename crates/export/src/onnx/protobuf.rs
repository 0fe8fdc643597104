//! The wire format of protocol buffers, as far as ONNX's messages need it.
//!
//! <https://protobuf.dev/programming-guides/encoding/>: a field is a tag, (number << 3 | type), then its value.

const VARINT: u64 = 0;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is put together field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// An integer; negative ones take ten bytes, as `int64` does.
    pub(super) fn int(mut self, field: u64, value: i64) -> Self {
        self.tag(field, VARINT);
        self.varint(value as u64);
        self
    }

    pub(super) fn ints(self, field: u64, values: &[i64]) -> Self {
        // Not packed: ONNX's schema is of version 2 of the language.
        values.iter().fold(self, |message, &value| message.int(field, value))
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.tag(field, FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.announce(field, value.len() as u64);
        message.0.extend(value);
        message
    }

    /// The start of a field of so many bytes, which the caller writes behind what is here.
    pub(super) fn announce(mut self, field: u64, bytes: u64) -> Self {
        self.tag(field, BYTES);
        self.varint(bytes);
        self
    }

    fn tag(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's description.
    #[test]
    fn fields_have_the_bytes_that_the_format_says() {
        assert_eq!(Message::new().int(1, 150).as_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").as_bytes(), b"\x12\x07testing");
        let inner = Message::new().int(1, 150);
        assert_eq!(Message::new().message(3, &inner).as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus = Message::new().int(1, -2);
        assert_eq!(minus.as_bytes(), b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        assert_eq!(Message::new().float(2, 1.0).as_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::new().announce(16, 300).as_bytes(), [0x82, 0x01, 0xac, 0x02]);
    }
}
