//! Headers of WebSocket frames as a server sends them: final, unmasked.
//!
//! A batch for WebSocket readers is a run of whole frames, encoded once and shared by every reader, so the core
//! writes their headers itself. Layout and length forms: [RFC 6455, section
//! 5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2).

/// The most bytes that one header takes.
pub const MAX_HEADER_LEN: usize = 10;

/// Appends the header of one text frame whose payload of `len` bytes follows.
///
/// The shortest of the three length forms is used, as the RFC demands: 7 bits up to 125, 16 bits up to 65,535, else
/// 64 bits.
///
/// # Examples
/// ```
/// let mut out = Vec::new();
/// tricast_core::frame::put_text_header(&mut out, 5);
/// out.extend_from_slice(b"Hello");
/// assert_eq!(out, *b"\x81\x05Hello");
/// ```
pub fn put_text_header(out: &mut Vec<u8>, len: usize) {
    put_header(out, FINAL | TEXT, len);
}

/// Appends the header of one binary frame whose payload of `len` bytes follows.
pub fn put_binary_header(out: &mut Vec<u8>, len: usize) {
    put_header(out, FINAL | BINARY, len);
}

fn put_header(out: &mut Vec<u8>, first: u8, len: usize) {
    out.push(first);
    if let Ok(short) = u8::try_from(len)
        && short <= MAX_SHORT
    {
        out.push(short);
    } else if let Ok(medium) = u16::try_from(len) {
        out.push(LEN_IN_16_BITS);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(LEN_IN_64_BITS);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;

const MAX_SHORT: u8 = 125;
const LEN_IN_16_BITS: u8 = 126;
const LEN_IN_64_BITS: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        put_text_header(&mut out, len);
        out
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(text(0), [0x81, 0]);
        assert_eq!(text(125), [0x81, 125]);
        assert_eq!(text(126), [0x81, 126, 0, 126]);
        assert_eq!(text(65_535), [0x81, 126, 0xff, 0xff]);
        assert_eq!(text(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn no_header_is_longer_than_the_constant_says() {
        assert_eq!(text(usize::MAX).len(), MAX_HEADER_LEN);
    }

    #[test]
    fn a_binary_header_differs_in_its_opcode_only() {
        let mut out = vec![0xee];
        put_binary_header(&mut out, 300);
        assert_eq!(out, [0xee, 0x82, 126, 1, 44]);
    }
}
