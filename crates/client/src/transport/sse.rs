//! `text/event-stream`: cutting bytes into blocks, wherever the chunks end.
//!
//! The envelope mode says everything in `data`: `event`, `id` and `retry` are skipped. Source: HTML standard, 9.2.6.

use crate::limits::BLOCK_BYTES;

/// Cuts a stream into the `data` of its blocks.
#[derive(Debug)]
pub(crate) struct Parser {
    /// Bytes that one line, or the data of one block, may have.
    most: usize,
    line: Vec<u8>,
    after_cr: bool,
    /// Of the block that is being read; `None` before its first `data` line.
    data: Option<Vec<u8>>,
}

/// A line or a block outgrew its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    pub(crate) fn new() -> Self {
        Self { most: BLOCK_BYTES, line: Vec::new(), after_cr: false, data: None }
    }

    /// Lets lines and blocks be this long, if that is longer than they may be anyhow.
    pub(crate) fn allow(&mut self, bytes: usize) {
        self.most = self.most.max(bytes);
    }

    /// Takes the next chunk, and gives the blocks that it completes.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut blocks = Vec::new();
        let mut rest = chunk;
        if !chunk.is_empty() {
            // The LF of a CRLF may come with the next chunk.
            if self.after_cr && chunk[0] == b'\n' {
                rest = &chunk[1..];
            }
            self.after_cr = chunk.ends_with(b"\r");
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.extend_from_slice(&rest[..end]);
            let is_crlf = rest[end..].starts_with(b"\r\n");
            rest = &rest[end + 1 + usize::from(is_crlf)..];
            blocks.extend(self.end_line());
        }
        self.line.extend_from_slice(rest);
        let longest = self.line.len().max(self.data.as_ref().map_or(0, Vec::len));
        if longest > self.most { Err(TooLong) } else { Ok(blocks) }
    }

    /// The line is complete; so is the block, if the line is empty.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &[][..]),
        };
        if field == b"data" {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut self.data {
                None => self.data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_never_ends_is_too_long() {
        let mut parser = Parser::new();
        assert_eq!(parser.push(&vec![b'x'; BLOCK_BYTES]), Ok(Vec::new()));
        assert_eq!(parser.push(b"x"), Err(TooLong));
        let mut parser = Parser::new();
        let line = format!("data: {}\n", "x".repeat(BLOCK_BYTES / 2));
        assert!(parser.push(line.as_bytes()).is_ok());
        assert_eq!(parser.push(line.as_bytes()), Err(TooLong));
    }

    #[test]
    fn a_server_of_larger_messages_is_allowed_larger_blocks() {
        let mut parser = Parser::new();
        parser.allow(BLOCK_BYTES + 1);
        parser.allow(1);
        assert!(parser.push(&vec![b'x'; BLOCK_BYTES + 1]).is_ok());
    }

    #[derive(serde::Deserialize)]
    struct Stream {
        chunks: Vec<String>,
        events: Vec<Told>,
    }

    #[derive(serde::Deserialize)]
    struct Told {
        data: String,
    }

    #[test]
    fn streams_are_cut_as_the_vectors_say_wherever_the_chunks_end() {
        tricast_testkit::vectors::each("sse", |case: Stream| {
            let expected: Vec<&[u8]> = case.events.iter().map(|told| told.data.as_bytes()).collect();
            let whole = case.chunks.concat().into_bytes();
            let pieces = |size: usize| whole.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let as_told = case.chunks.iter().map(|chunk| chunk.clone().into_bytes()).collect();
            for chunks in [as_told, pieces(1), pieces(2), pieces(3), pieces(usize::MAX)] {
                let mut parser = Parser::new();
                let blocks: Vec<Vec<u8>> = chunks.iter().flat_map(|chunk| parser.push(chunk).unwrap()).collect();
                assert_eq!(blocks, expected);
            }
        });
    }
}
