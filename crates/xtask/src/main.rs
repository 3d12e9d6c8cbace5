//! What developers of Tricast run: `cargo xtask test | check | dist | capacity`.
//!
//! A command is a list of [steps](step::Step), run one after another from the root of the repository until one is
//! red. Each step's wall time is printed, and a table closes the run. Nothing here rewrites a file that is in git,
//! except `dist`, whose purpose that is.

mod autobahn;
mod capacity;
mod failure;
mod freshness;
mod plan;
mod prerequisites;
mod python;
mod step;
mod workspace;

use std::env;
use std::process::ExitCode;

use capacity::Model;
use step::Step;
use workspace::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match Request::parse(&arguments) {
        Ok(Request::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Capacity(model)) => {
            print!("{model}");
            ExitCode::SUCCESS
        }
        Ok(Request::List(steps)) => {
            step::list(&steps);
            ExitCode::SUCCESS
        }
        Ok(Request::Run(steps)) => run(&steps),
        Err(complaint) => {
            eprintln!("{complaint}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(steps: &[&Step]) -> ExitCode {
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(warning) = prerequisites::raise_file_limit() {
        eprintln!("{warning}");
    }
    if step::run_all(steps, &workspace) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the command line asks for.
#[derive(Debug)]
enum Request {
    Help,
    Capacity(Model),
    List(Vec<&'static Step>),
    Run(Vec<&'static Step>),
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        if let Some(("capacity", figures)) = arguments.split_first().map(|(command, rest)| (command.as_str(), rest)) {
            return Model::parse(figures).map(Self::Capacity);
        }
        let mut arguments = arguments.iter().map(String::as_str);
        let mut steps = match arguments.next() {
            Some("help" | "--help" | "-h") => return Ok(Self::Help),
            Some(command) => plan::steps_of(command).ok_or_else(|| format!("no command is named `{command}`"))?,
            None => return Err("a command is missing".to_owned()),
        };
        let mut list = false;
        while let Some(argument) = arguments.next() {
            match argument {
                "--list" => list = true,
                "--only" => {
                    let names = arguments.next().ok_or("`--only` needs the names of steps, joined by commas")?;
                    steps = plan::only(&steps, names)?;
                }
                "--help" | "-h" => return Ok(Self::Help),
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        Ok(if list { Self::List(steps) } else { Self::Run(steps) })
    }
}

const USAGE: &str = "\
Usage: cargo xtask COMMAND [--list] [--only STEP,STEP…]

Commands:
  test    everything that has to be green before a change lands
  check   the quick part of it: format, lints, tidy, types
  dist    rebuilds the browser client: client-js/dist and the copy that the router serves
  capacity [--FIGURE N …]
          how many nodes and stores a service needs, by measured figures or by yours (docs/scaling.md)

Options:
  --list  names the command's steps and runs none
  --only  runs only these of its steps";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&arguments)
    }

    fn names(request: Request) -> Vec<&'static str> {
        match request {
            Request::Run(steps) | Request::List(steps) => steps.iter().map(|step| step.name).collect(),
            Request::Help | Request::Capacity(_) => panic!("steps were expected"),
        }
    }

    #[test]
    fn only_keeps_the_order_of_the_command() {
        assert_eq!(names(parse("test --only clippy,fmt").unwrap()), ["fmt", "clippy"]);
    }

    #[test]
    fn a_step_that_the_command_does_not_have_is_refused_by_name() {
        let complaint = parse("check --only fmt,browser").unwrap_err();
        assert!(complaint.contains("`browser`"), "{complaint}");
    }

    #[test]
    fn unknown_words_are_refused_by_name() {
        for (line, culprit) in [("tset", "`tset`"), ("test --fast", "`--fast`"), ("test --only", "`--only`")] {
            let complaint = parse(line).unwrap_err();
            assert!(complaint.contains(culprit), "{line}: {complaint}");
        }
    }

    #[test]
    fn list_runs_nothing() {
        assert!(matches!(parse("check --list").unwrap(), Request::List(_)));
    }
}
