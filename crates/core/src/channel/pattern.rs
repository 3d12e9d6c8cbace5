//! Which channels a rule is for.

use std::str::FromStr;

use super::is_name_char;
use crate::limits::PATTERN_BYTES;

/// Which channel names a rule is for: literal text and `{parameters}`.
///
/// A parameter takes at least one character and runs to the next occurrence of the literal behind it; the last one
/// runs to the end. There is no backtracking, so matching is linear in the name. System channels (`@…`) are matched
/// by no pattern.
///
/// # Examples
/// ```
/// use tricast_core::channel::Pattern;
/// let pattern: Pattern = "dm:{a}:{b}".parse()?;
/// let params = pattern.matches("dm:ann:bob").unwrap();
/// assert_eq!((params.get("a"), params.get("b")), (Some("ann"), Some("bob")));
/// assert!(pattern.matches("dm:ann").is_none());
/// # Ok::<(), tricast_core::channel::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Param(Box<str>),
}

/// What the parameters of a [`Pattern`] stood for in a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params<'a>(pub(super) Vec<(&'a str, &'a str)>);

impl<'a> Params<'a> {
    /// The value of a parameter, `None` if the pattern has none of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has a parameter of this name.
    #[must_use]
    pub fn has_param(&self, name: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Param(param) if **param == *name))
    }

    /// The parameters' values if this pattern is for `name`.
    #[must_use]
    pub fn matches<'a>(&'a self, name: &'a str) -> Option<Params<'a>> {
        if name.starts_with('@') {
            return None;
        }
        let mut params = Params::default();
        let mut rest = name;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(&**literal)?,
                Part::Param(param) => {
                    let end = match parts.peek() {
                        // At least one character belongs to the parameter, even where the literal stands there.
                        Some(Part::Literal(next)) => rest.get(1..)?.find(&**next)? + 1,
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    if value.is_empty() {
                        return None;
                    }
                    params.0.push((param, value));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(params)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |problem| PatternError { pattern: text.to_owned(), problem };
        if text.is_empty() || text.len() > PATTERN_BYTES {
            return Err(fault(PatternProblem::Length));
        }
        if text.starts_with('@') {
            return Err(fault(PatternProblem::System));
        }
        let parts = parse_parts(text).map_err(fault)?;
        Ok(Self { text: text.into(), parts: parts.into() })
    }
}

fn parse_parts(text: &str) -> Result<Vec<Part>, PatternProblem> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if let Some(culprit) = literal.chars().find(|&c| !is_name_char(c)) {
            return Err(PatternProblem::Character(culprit));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        let Some(inner) = after.strip_prefix('{') else { break };
        let (name, after) = inner.split_once('}').ok_or(PatternProblem::Unclosed)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(PatternProblem::ParamName(name.to_owned()));
        }
        if parts.iter().any(|part| matches!(part, Part::Param(known) if **known == *name)) {
            return Err(PatternProblem::ParamTwice(name.to_owned()));
        }
        if matches!(parts.last(), Some(Part::Param(_))) {
            return Err(PatternProblem::Adjacent(name.to_owned()));
        }
        parts.push(Part::Param(name.into()));
        rest = after;
    }
    Ok(parts)
}

/// A pattern that cannot be understood, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?}: {problem}")]
pub struct PatternError {
    /// The pattern as it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: PatternProblem,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternProblem {
    /// Empty, or longer than a channel name can be.
    #[error("it must have 1 to 255 bytes")]
    Length,
    /// It begins with `@`, where the system's channels are.
    #[error("names that begin with @ are the system's")]
    System,
    /// A character that no channel name contains.
    #[error("no channel name contains {0:?}")]
    Character(char),
    /// A `{` without its `}`.
    #[error("a {{ is not closed")]
    Unclosed,
    /// A parameter's name is not letters, digits and `_`.
    #[error("{0:?} is not a parameter's name")]
    ParamName(String),
    /// Two parameters have one name.
    #[error("the parameter {0:?} stands twice")]
    ParamTwice(String),
    /// Nothing stands between two parameters, so nobody could say where the first ends.
    #[error("nothing separates the parameter {0:?} from the one before it")]
    Adjacent(String),
}
