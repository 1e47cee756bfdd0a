//! The protobuf wire format (protobuf.dev/programming-guides/encoding), as much as a batch needs.

use bytes::BufMut;
use std::ops::Range;

/// Not protobuf, or not this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A field's content.
#[derive(Debug, Clone)]
pub(super) enum Field {
    Varint(u64),
    /// Where the bytes lie in the whole buffer.
    Bytes(Range<u32>),
    /// A fixed-width number or a group: no field of the contract is one.
    Skipped,
}

/// Reads the fields of one message inside a buffer. Ranges are of the whole buffer.
pub(super) struct Reader<'a> {
    buffer: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(buffer: &'a [u8], range: Range<u32>) -> Self {
        Self { buffer, at: range.start as usize, end: range.end as usize }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.buffer[..self.end].get(self.at).ok_or(Malformed("a field is cut off"))?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint has more than 64 bits"))
    }

    /// The next element of a packed field; None at the end.
    pub(super) fn next_varint(&mut self) -> Result<Option<u64>, Malformed> {
        if self.at >= self.end { Ok(None) } else { self.varint().map(Some) }
    }

    fn take(&mut self, length: u64) -> Result<Range<u32>, Malformed> {
        let left = (self.end - self.at) as u64;
        if length > left {
            return Err(Malformed("a field is longer than its message"));
        }
        let start = self.at;
        self.at += length as usize;
        Ok(start as u32..self.at as u32)
    }

    /// The next field's number and content; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field)>, Malformed> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        Ok(Some((number, self.field(number, wire_type, 0)?)))
    }

    fn key(&mut self) -> Result<(u32, u64), Malformed> {
        let key = self.varint()?;
        let number =
            u32::try_from(key >> 3).map_err(|_| Malformed("a field number has more than 29 bits"))?;
        if number == 0 || number >= 1 << 29 {
            return Err(Malformed("a field number is 1 to 2^29 - 1"));
        }
        Ok((number, key & 7))
    }

    fn field(&mut self, number: u32, wire_type: u64, depth: u32) -> Result<Field, Malformed> {
        Ok(match wire_type {
            0 => Field::Varint(self.varint()?),
            1 => self.take(8).map(|_| Field::Skipped)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            3 => self.skip_group(number, depth)?,
            5 => self.take(4).map(|_| Field::Skipped)?,
            _ => return Err(Malformed("an unknown wire type, or the end of a group that was not begun")),
        })
    }

    /// A group is an unknown field here, skipped with all that is in it.
    fn skip_group(&mut self, number: u32, depth: u32) -> Result<Field, Malformed> {
        /// As deep as prost goes.
        const DEEPEST: u32 = 99;
        if depth >= DEEPEST {
            return Err(Malformed("groups are nested too deep"));
        }
        loop {
            match self.key()? {
                (end, 4) if end == number => return Ok(Field::Skipped),
                (_, 4) => return Err(Malformed("the end of a group that was not begun")),
                (inner, wire_type) => self.field(inner, wire_type, depth + 1)?,
            };
        }
    }
}

pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes of a varint.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub(super) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Bytes of a varint field with a one-byte key, which is left out when it is 0.
pub(super) fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

pub(super) fn put_number(out: &mut impl BufMut, field: u8, value: u64) {
    if value != 0 {
        out.put_u8(field << 3);
        put_varint(out, value);
    }
}

/// Bytes of a length-delimited field with a one-byte key.
pub(super) fn block_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// The key and length of a length-delimited field; its bytes are to follow.
pub(super) fn put_block(out: &mut impl BufMut, field: u8, length: usize) {
    out.put_u8(field << 3 | 2);
    put_varint(out, length as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_the_length_that_is_announced() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 35, u64::MAX >> 1, u64::MAX] {
            let mut out = vec![];
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            let mut reader = Reader::new(&out, 0..out.len() as u32);
            assert_eq!(reader.varint(), Ok(value));
        }
    }

    #[test]
    fn an_overlong_varint_is_refused() {
        let eleven = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert!(Reader::new(&eleven, 0..11).varint().is_err());
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(Reader::new(&beyond, 0..10).varint().is_err());
    }
}
