//! One number of a board, with its past: all that a tile shows, so that a reader needs no other message to draw it.

use std::collections::VecDeque;

use serde::Serialize;

/// A number as it is published under its key.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Metric {
    value: f64,
    /// What the value is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<f64>,
    /// One value a second, the newest last.
    history: VecDeque<f64>,
    #[serde(skip)]
    most: usize,
}

impl Metric {
    /// A number that remembers its last `most` values.
    pub(crate) fn new(most: usize) -> Self {
        Self { value: 0.0, of: None, history: VecDeque::with_capacity(most), most }
    }

    /// The same, as a part of a whole.
    pub(crate) fn of(self, whole: f64) -> Self {
        Self { of: Some(whole), ..self }
    }

    /// Takes the next value; a hundredth is as exact as anybody sees.
    pub(crate) fn push(&mut self, value: f64) {
        self.value = (value * 100.0).round() / 100.0;
        if self.history.len() == self.most {
            self.history.pop_front();
        }
        self.history.push_back(self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_remembers_its_newest_values_rounded() {
        let mut metric = Metric::new(3).of(10.0);
        for value in [1.0, 2.0, 3.004, 4.006] {
            metric.push(value);
        }
        let told = serde_json::to_string(&metric).unwrap();
        assert_eq!(told, r#"{"value":4.01,"of":10.0,"history":[2.0,3.0,4.01]}"#);
    }
}
