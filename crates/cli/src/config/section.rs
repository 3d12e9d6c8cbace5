//! A table of the file, asked for its keys one by one.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Fault, Notes};
use super::value::{At, Text, Value};
use super::variables::{Environment, expand};

/// The text of a file, and how to read what stands in it.
pub(super) struct Source<'a> {
    /// Where each line begins.
    lines: Vec<usize>,
    environment: Environment<'a>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &str, environment: Environment<'a>) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { lines: std::iter::once(0).chain(starts).collect(), environment }
    }

    /// The line on which something begins, counted from 1.
    pub(super) fn line(&self, span: Range<usize>) -> usize {
        self.lines.partition_point(|start| *start <= span.start)
    }

    fn value(&self, value: &DeValue<'_>) -> Result<Value, Fault> {
        Ok(match value {
            DeValue::String(written) => {
                let meant = expand(written, self.environment)?;
                Value::Text(Text { written: written.clone().into_owned(), meant })
            }
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Whole(number),
                Err(_) => return Err(Fault::TooLarge(i64::MAX.to_string())),
            },
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Float(_) => Value::Other("a fraction"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(_) => Value::Other("an array"),
            DeValue::Table(_) => Value::Other("a table"),
        })
    }
}

/// A table that is being read. What nobody asked for by the time it is [finished](Section::finish) is unknown.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    notes: &'a mut Notes,
    /// `None` where the file does not have it: no key of it is there.
    table: Option<&'a DeTable<'a>>,
    path: String,
    line: usize,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The file itself.
    pub(super) fn root(source: &'a Source<'a>, table: &'a DeTable<'a>, notes: &'a mut Notes) -> Self {
        Self { source, notes, table: Some(table), path: String::new(), line: 1, asked: Vec::new() }
    }

    /// Reads a table in this one. One that is absent has no keys.
    pub(super) fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let (table, line) = match self.find(name) {
            None => (None, self.line),
            Some((line, DeValue::Table(table))) => (Some(table), line),
            Some((line, other)) => {
                self.wrong_type(name, line, "a table", other);
                (None, line)
            }
        };
        self.inner(name, table, line, read)
    }

    /// Reads the tables of an array of tables.
    pub(super) fn tables<T>(
        &mut self,
        name: &'static str,
        wrong: Fault,
        mut read: impl FnMut(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some((line, value)) = self.find(name) else { return Vec::new() };
        let tables = value.as_array().map(|array| array.iter().collect::<Vec<_>>()).unwrap_or_default();
        if tables.is_empty() || tables.iter().any(|table| !table.get_ref().is_table()) {
            self.problem(name, line, wrong);
        }
        let mut found = Vec::new();
        for table in tables {
            if let DeValue::Table(inner) = table.get_ref() {
                let line = self.source.line(table.span());
                found.extend(self.inner(name, Some(inner), line, &mut read));
            }
        }
        found
    }

    fn inner<T>(
        &mut self,
        name: &'static str,
        table: Option<&DeTable<'_>>,
        line: usize,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let path = self.path_of(name);
        let mut section =
            Section { source: self.source, notes: &mut *self.notes, table, path, line, asked: Vec::new() };
        let result = read(&mut section);
        section.finish();
        result
    }

    /// Reads a key's value, if it is there and as it should be.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Fault>,
    ) -> Option<At<T>> {
        let (line, value) = self.find(name)?;
        match self.source.value(value).and_then(|value| parse(&value)) {
            Ok(value) => Some(At { line, value }),
            Err(fault) => {
                self.problem(name, line, fault);
                None
            }
        }
    }

    /// Reads a key's value, or takes another where it is absent.
    pub(super) fn or<T>(&mut self, name: &'static str, absent: T, parse: impl FnOnce(&Value) -> Result<T, Fault>) -> T {
        self.value(name, parse).map_or(absent, |found| found.value)
    }

    /// Reads the value of a key that must be there where its table is.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Fault>,
    ) -> Option<At<T>> {
        if self.table.is_some() && !self.has(name) {
            self.problem(name, self.line, Fault::Missing);
        }
        self.value(name, parse)
    }

    /// Reads a list, leaving out what is not as it should be.
    pub(super) fn list<T>(&mut self, name: &'static str, parse: impl Fn(&Value) -> Result<T, Fault>) -> Vec<T> {
        let items = match self.find(name) {
            None => return Vec::new(),
            Some((_, DeValue::Array(items))) => items,
            Some((line, other)) => {
                self.wrong_type(name, line, "an array of strings", other);
                return Vec::new();
            }
        };
        let mut list = Vec::new();
        for item in items {
            match self.source.value(item.get_ref()).and_then(|value| parse(&value)) {
                Ok(value) => list.push(value),
                Err(fault) => self.problem(name, self.source.line(item.span()), fault),
            }
        }
        list
    }

    /// Says of the later of two keys that both are there.
    pub(super) fn not_both(&mut self, names: [&'static str; 2], fault: impl FnOnce(usize) -> Fault) {
        if let [Some(one), Some(other)] = names.map(|name| self.find(name).map(|(line, _)| (line, name))) {
            let ((first, _), (second, name)) = (one.min(other), one.max(other));
            self.problem(name, second, fault(first));
        }
    }

    /// Whether the key is there, whatever its value is.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// The line on which the table begins.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Says what is wrong with the table as a whole, if it is there.
    pub(super) fn refuse(&mut self, fault: Fault) {
        if self.table.is_some() {
            self.notes.problem(self.line, self.path.clone(), fault);
        }
    }

    /// Says what is wrong with a key on a line.
    pub(super) fn problem(&mut self, name: &str, line: usize, fault: Fault) {
        let path = self.path_of(name);
        self.notes.problem(line, path, fault);
    }

    fn wrong_type(&mut self, name: &'static str, line: usize, expected: &'static str, found: &DeValue<'_>) {
        let fault = match self.source.value(found) {
            Ok(value) => value.is_not(expected),
            Err(fault) => fault,
        };
        self.problem(name, line, fault);
    }

    /// Ends the reading: whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        for (key, _) in self.table.into_iter().flatten() {
            if !self.asked.iter().any(|asked| *asked == key.get_ref()) {
                let path = joined(&self.path, key.get_ref());
                self.notes.problem(self.source.line(key.span()), path, Fault::Unknown(self.asked.clone()));
            }
        }
    }

    fn find(&mut self, name: &'static str) -> Option<(usize, &'a DeValue<'a>)> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
            let path = self.path_of(name);
            self.notes.known.insert(path);
        }
        let (key, value) = self.entry(name)?;
        // A value may stand lines below its key only within brackets; the key is what is looked for.
        Some((self.source.line(key.span()), value.get_ref()))
    }

    fn entry(&self, name: &str) -> Option<(&'a Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
        self.table?.iter().find(|(key, _)| key.get_ref() == name)
    }

    fn path_of(&self, name: &str) -> String {
        joined(&self.path, name)
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
