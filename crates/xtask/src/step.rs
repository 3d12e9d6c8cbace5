//! Steps, and the run of a list of them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// One thing that is either green or red.
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it runs, for `--list`.
    pub(crate) about: &'static str,
    pub(crate) action: fn(&Workspace) -> Result<(), Failure>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Prints the steps' names and what each runs.
pub(crate) fn list(steps: &[&Step]) {
    for step in steps {
        println!("{:<12} {}", step.name, step.about);
    }
}

/// Runs the steps in order up to the first red one, and prints the closing table. True if all were green.
pub(crate) fn run_all(steps: &[&Step], workspace: &Workspace) -> bool {
    let mut times = Vec::with_capacity(steps.len());
    let mut red = None;
    for step in steps {
        println!("\n== {}: {}", step.name, step.about);
        let started = Instant::now();
        let outcome = (step.action)(workspace);
        times.push((step.name, started.elapsed()));
        println!("== {} took {:.1} s", step.name, started.elapsed().as_secs_f64());
        if let Err(failure) = outcome {
            red = Some((step.name, failure));
            break;
        }
    }
    print!("{}", table(&times));
    match red {
        Some((name, failure)) => {
            eprintln!("\nRED: step `{name}`: {failure}");
            false
        }
        None => {
            println!("\nGREEN: {} steps", steps.len());
            true
        }
    }
}

fn table(times: &[(&str, Duration)]) -> String {
    let total = ("total", times.iter().map(|(_, time)| *time).sum());
    let mut table = format!("\n{:<12} {:>8}\n", "step", "seconds");
    for (name, time) in times.iter().chain([&total]) {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{name:<12} {:>8.1}", time.as_secs_f64());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEN: Step = Step { name: "green", about: "", action: |_| Ok(()) };
    const RED: Step = Step { name: "red", about: "", action: |_| Err(Failure::Found("on purpose".to_owned())) };
    const NEVER: Step = Step { name: "never", about: "", action: |_| panic!("ran after a red step") };

    #[test]
    fn the_first_red_step_ends_the_run() {
        assert!(!run_all(&[&GREEN, &RED, &NEVER], &Workspace::find().unwrap()));
    }

    #[test]
    fn a_run_of_green_steps_is_green() {
        assert!(run_all(&[&GREEN, &GREEN], &Workspace::find().unwrap()));
    }

    #[test]
    fn the_table_ends_with_the_sum() {
        let table = table(&[("fmt", Duration::from_millis(500)), ("clippy", Duration::from_secs(12))]);
        let last = table.lines().last().unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["total", "12.5"]);
    }
}
