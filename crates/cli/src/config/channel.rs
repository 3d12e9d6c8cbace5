//! `[[channel]]`: which channels there are, and who may do what.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tricast::core::channel::{Kind, Pattern, PatternError, RuleError};
use tricast::{Access, Rule};

use super::auth::Found;
use super::problem::Fault;
use super::section::Section;
use super::value::{self, At, Value};

/// A pattern with its rule, which fit each other.
#[derive(Debug)]
pub(super) struct ChannelRule {
    pub(super) pattern: Pattern,
    pub(super) rule: Rule,
    pub(super) subscribe: Who,
    pub(super) publish: Who,
}

/// Who may do something, by the word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anyone,
    SignedIn,
    Owner,
    Token,
    Server,
}

impl Who {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::SignedIn => "signed_in",
            Self::Owner => "self",
            Self::Token => "token",
            Self::Server => "server",
        }
    }

    fn access(self) -> Access {
        match self {
            Self::Anyone => Access::Anyone,
            Self::SignedIn => Access::SignedIn,
            Self::Owner => Access::Owner,
            Self::Token => Access::Token,
            Self::Server => Access::Server,
        }
    }

    /// Whether somebody has to be known for it by a token.
    fn needs_a_user(self) -> bool {
        matches!(self, Self::SignedIn | Self::Owner | Self::Token)
    }
}

/// Reads the tables one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    auth: &'a Found,
    /// The line of each pattern that was read, by what it matches.
    lines: HashMap<String, usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(auth: &'a Found) -> Self {
        Self { auth, lines: HashMap::new() }
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) -> Option<ChannelRule> {
        let pattern = section.required("pattern", pattern);
        if let Some(pattern) = &pattern {
            self.reachable(section, pattern);
        }
        let rule = retention(section);
        let presence = section.or("presence", false, value::flag);
        let subscribe = self.access(section, "subscribe", Who::Anyone, pattern.as_ref());
        let publish = self.access(section, "publish", Who::Server, pattern.as_ref());
        let public = self.public(section, subscribe);
        let show_user = section.value("show_user", value::flag);

        let pattern = pattern?;
        let mut rule = rule.subscribe(subscribe?.access()).publish(publish?.access());
        if presence {
            rule = rule.presence();
        }
        if public {
            rule = rule.public();
        }
        if let Some(show_user) = show_user {
            rule = rule.show_user(show_user.value);
        }
        check(section, &pattern, &rule);
        Some(ChannelRule { pattern: pattern.value, rule, subscribe: subscribe?, publish: publish? })
    }

    /// Who may do something; `None` where that is not understood.
    fn access(
        &self,
        section: &mut Section<'_>,
        name: &'static str,
        absent: Who,
        pattern: Option<&At<Pattern>>,
    ) -> Option<Who> {
        let found = section.value(name, who);
        if !section.has(name) {
            return Some(absent);
        }
        let At { line, value: who } = found?;
        if who.needs_a_user() && !self.auth.has_key {
            section.problem(name, line, Fault::NobodyKnown(who.word()));
        }
        if let Some(param) = who.access().needs_param()
            && pattern.is_some_and(|pattern| !pattern.value.has_param(param))
        {
            section.problem(name, line, Fault::NoOwner(param));
        }
        Some(who)
    }

    fn public(&self, section: &mut Section<'_>, subscribe: Option<Who>) -> bool {
        let Some(At { line, value: true }) = section.value("public", value::flag) else { return false };
        if subscribe.is_some_and(|who| who != Who::Anyone) {
            section.problem("public", line, Fault::NotForAnyone);
        }
        if self.auth.required {
            section.problem("public", line, Fault::TokenRequired);
        }
        true
    }

    /// The first rule that matches decides, so a pattern that matches the same is never asked.
    fn reachable(&mut self, section: &mut Section<'_>, pattern: &At<Pattern>) {
        match self.lines.entry(without_names(pattern.value.as_str())) {
            Entry::Occupied(first) => section.problem("pattern", pattern.line, Fault::Unreachable(*first.get())),
            Entry::Vacant(place) => drop(place.insert(pattern.line)),
        }
    }
}

/// Whatever else is wrong with a rule; what was noted of single keys is not said again.
fn check(section: &mut Section<'_>, pattern: &At<Pattern>, rule: &Rule) {
    match rule.check(&pattern.value) {
        Ok(()) | Err(RuleError::Zero(_) | RuleError::NoParam(_) | RuleError::NotPublic) => {}
        Err(problem) => section.problem("pattern", pattern.line, Fault::Rule(problem)),
    }
}

fn retention(section: &mut Section<'_>) -> Rule {
    let mut rule = match section.or("kind", Kind::Stream, kind) {
        Kind::Stream => Rule::stream(),
        Kind::State => Rule::state(),
    };
    if let Some(keep) = section.value("keep", value::count) {
        rule = rule.keep(keep.value);
    }
    if let Some(bytes) = section.value("keep_bytes", value::size) {
        rule = rule.keep_bytes(bytes.value);
    }
    if let Some(ttl) = section.value("ttl", value::period) {
        rule = rule.ttl(ttl.value);
    }
    rule
}

fn pattern(value: &Value) -> Result<Pattern, Fault> {
    const EXPECTED: &str = "a pattern such as \"chat:{room}\"";
    let text = value::string(value, EXPECTED)?;
    text.meant.parse().map_err(|error: PatternError| match text.written == text.meant {
        true => Fault::Pattern(error.problem),
        false => text.is_not(EXPECTED),
    })
}

fn kind(value: &Value) -> Result<Kind, Fault> {
    let kinds = [Kind::Stream, Kind::State].map(|kind| (kind.as_str(), kind));
    value::word(value, &kinds, "\"stream\" or \"state\"")
}

fn who(value: &Value) -> Result<Who, Fault> {
    let all = [Who::Anyone, Who::SignedIn, Who::Owner, Who::Token, Who::Server].map(|who| (who.word(), who));
    value::word(value, &all, "\"anyone\", \"signed_in\", \"self\", \"token\" or \"server\"")
}

/// A pattern without the names of its parameters: two that are alike match the same channels.
fn without_names(pattern: &str) -> String {
    let pieces = pattern.split('}').map(|piece| piece.split_once('{').map_or(piece, |(literal, _)| literal));
    pieces.collect::<Vec<_>>().join("{}")
}
