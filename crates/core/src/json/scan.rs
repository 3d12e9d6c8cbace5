//! The grammar of JSON, walked without recursion.

use super::JsonError;
use crate::limits::JSON_DEPTH;

/// Which containers are open: a bit for each, so that hostile depth costs no memory.
#[derive(Default)]
struct Nesting {
    objects: u128,
    depth: usize,
}

const _: () = assert!(JSON_DEPTH <= 128, "Nesting has one bit for each level");

#[derive(Clone, Copy)]
enum Container {
    Array,
    Object,
}

impl Nesting {
    fn open(&mut self, container: Container) -> Result<(), JsonError> {
        if self.depth == JSON_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(matches!(container, Container::Object));
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn innermost(&self) -> Option<Container> {
        match (self.depth, self.objects & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }
}

/// What the grammar allows at the next byte that is not blank.
enum Next {
    Value,
    FirstElement,
    FirstKey,
    Key,
    AfterValue,
}

/// A walk over one text. The grammar is a loop and a bit for each open container.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    blanks: usize,
    nesting: Nesting,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, blanks: 0, nesting: Nesting::default() }
    }

    /// Reads one value and the end of the text, and tells how many bytes of it are blanks outside strings.
    pub(super) fn scan(mut self) -> Result<usize, JsonError> {
        let mut next = Next::Value;
        loop {
            self.skip_blanks();
            next = match next {
                Next::FirstElement if self.take(b']') => self.close(),
                Next::FirstKey if self.take(b'}') => self.close(),
                Next::Value | Next::FirstElement => self.value()?,
                Next::Key | Next::FirstKey => self.key()?,
                Next::AfterValue => match self.nesting.innermost() {
                    None if self.at == self.bytes.len() => return Ok(self.blanks),
                    None => return Err(self.expected("the end")),
                    Some(Container::Array) if self.take(b',') => Next::Value,
                    Some(Container::Array) if self.take(b']') => self.close(),
                    Some(Container::Array) => return Err(self.expected("a comma or ]")),
                    Some(Container::Object) if self.take(b',') => Next::Key,
                    Some(Container::Object) if self.take(b'}') => self.close(),
                    Some(Container::Object) => return Err(self.expected("a comma or }")),
                },
            };
        }
    }

    fn close(&mut self) -> Next {
        self.nesting.close();
        Next::AfterValue
    }

    fn value(&mut self) -> Result<Next, JsonError> {
        match self.peek() {
            Some(b'[') => {
                self.nesting.open(Container::Array)?;
                self.at += 1;
                return Ok(Next::FirstElement);
            }
            Some(b'{') => {
                self.nesting.open(Container::Object)?;
                self.at += 1;
                return Ok(Next::FirstKey);
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return Err(self.expected("a value")),
        }
        Ok(Next::AfterValue)
    }

    fn key(&mut self) -> Result<Next, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        self.string()?;
        self.skip_blanks();
        if self.take(b':') { Ok(Next::Value) } else { Err(self.expected("a colon")) }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.expected("an escape instead of a control character")),
                None => return Err(self.expected("the end of the string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.expected("four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_blanks(&mut self) {
        let start = self.at;
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
        self.blanks += self.at - start;
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, expected }
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
