use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use tricast_core::channel::{ChannelName, NameError, Pattern, PatternProblem};
use tricast_testkit::vectors;

use crate::any;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    text: String,
    valid: bool,
    #[serde(default)]
    system: bool,
    error: Option<String>,
}

#[test]
fn names_are_as_the_vectors_say() {
    for case in vectors::load::<Name>("names") {
        let Name { text, valid, system, error } = &case.data;
        let parsed = text.parse::<ChannelName>();
        assert_eq!(parsed.is_ok(), *valid, "{}", case.name);
        match parsed {
            Ok(name) => {
                assert_eq!((name.as_str(), name.is_system()), (text.as_str(), *system), "{}", case.name);
            }
            Err(problem) => {
                let problem = match problem {
                    NameError::Empty => "empty",
                    NameError::TooLong { .. } => "too_long",
                    NameError::Character { .. } => "character",
                };
                assert_eq!(Some(problem), error.as_deref(), "{}", case.name);
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    pattern: String,
    error: Option<String>,
    channel: Option<String>,
    params: Option<BTreeMap<String, String>>,
}

#[test]
fn patterns_match_as_the_vectors_say() {
    for case in vectors::load::<Match>("patterns") {
        let Match { pattern, error, channel, params } = &case.data;
        match (pattern.parse::<Pattern>(), error) {
            (Ok(pattern), None) => {
                let channel = channel.as_deref().expect("a pattern that parses is tried on a channel");
                let found = pattern.matches(channel);
                assert_eq!(found.is_some(), params.is_some(), "{}", case.name);
                for (name, value) in params.iter().flatten() {
                    let found = found.as_ref().and_then(|found| found.get(name));
                    assert_eq!(found, Some(value.as_str()), "{}: {name}", case.name);
                }
                assert_eq!(found.and_then(|found| found.get("no_such_parameter")), None, "{}", case.name);
            }
            (Err(refused), Some(error)) => {
                assert_eq!(problem_name(&refused.problem), error, "{}", case.name);
            }
            (parsed, _) => panic!("{}: {parsed:?}", case.name),
        }
    }
}

fn problem_name(problem: &PatternProblem) -> &'static str {
    match problem {
        PatternProblem::Length => "length",
        PatternProblem::System => "system",
        PatternProblem::Character(_) => "character",
        PatternProblem::Unclosed => "unclosed",
        PatternProblem::ParamName(_) => "param_name",
        PatternProblem::ParamTwice(_) => "param_twice",
        PatternProblem::Adjacent(_) => "adjacent",
        _ => "a problem that no vector knows",
    }
}

proptest! {
    #[test]
    fn a_name_prints_what_was_parsed(name in any::channel()) {
        prop_assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn what_a_pattern_took_apart_goes_together_again(room in "[a-z:]{1,8}", user in "[a-z:]{1,8}") {
        let pattern: Pattern = "dm:{room}:{user}".parse().unwrap();
        let name = format!("dm:{room}:{user}");
        // The first parameter may end earlier than it was written, but nothing is lost or made up.
        let params = pattern.matches(&name).unwrap();
        let again = format!("dm:{}:{}", params.get("room").unwrap(), params.get("user").unwrap());
        prop_assert_eq!(again, name);
    }
}
