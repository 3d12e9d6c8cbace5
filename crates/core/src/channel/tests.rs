use std::time::Duration;

use super::*;

fn params(pattern: &str, name: &str) -> Option<Vec<String>> {
    let pattern: Pattern = pattern.parse().unwrap();
    pattern.matches(name).map(|params| params.0.iter().map(|(k, v)| format!("{k}={v}")).collect())
}

#[test]
fn names_are_bounded_and_of_few_characters() {
    assert!("a".repeat(255).parse::<ChannelName>().is_ok());
    assert_eq!("a".repeat(256).parse::<ChannelName>(), Err(NameError::TooLong { bytes: 256, most: 255 }));
    assert!(format!("@{}", "a".repeat(265)).parse::<ChannelName>().is_ok());
    assert_eq!("".parse::<ChannelName>(), Err(NameError::Empty));
    assert_eq!("a,b".parse::<ChannelName>(), Err(NameError::Character { culprit: ',' }));
    assert_eq!("å".parse::<ChannelName>(), Err(NameError::Character { culprit: 'å' }));
}

#[test]
fn a_parameter_runs_to_the_next_literal_and_the_last_to_the_end() {
    assert_eq!(params("chat:{room}", "chat:a:b"), Some(vec!["room=a:b".into()]));
    assert_eq!(params("dm:{a}:{b}", "dm:x:y:z"), Some(vec!["a=x".into(), "b=y:z".into()]));
    assert_eq!(params("{any}", "whatever/it.is"), Some(vec!["any=whatever/it.is".into()]));
    assert_eq!(params("a:{x}:end", "a:1:end"), Some(vec!["x=1".into()]));
    assert_eq!(params("a:{x}:end", "a:1:end:end"), None);
}

#[test]
fn a_parameter_is_never_empty() {
    assert_eq!(params("chat:{room}", "chat:"), None);
    assert_eq!(params("dm:{a}:{b}", "dm::b"), None);
    assert_eq!(params("dm:{a}:{b}", "dm:::b"), Some(vec!["a=:".into(), "b=b".into()]));
}

#[test]
fn system_channels_are_matched_by_no_pattern() {
    assert_eq!(params("{any}", "@presence/chat:1"), None);
    assert!("@presence/{x}".parse::<Pattern>().is_err());
}

#[test]
fn a_pattern_that_nobody_could_match_is_refused_by_name() {
    let problem = |text: &str| text.parse::<Pattern>().unwrap_err().problem;
    assert_eq!(problem(""), PatternProblem::Length);
    assert_eq!(problem("a b"), PatternProblem::Character(' '));
    assert_eq!(problem("a}b"), PatternProblem::Character('}'));
    assert_eq!(problem("{a"), PatternProblem::Unclosed);
    assert_eq!(problem("{}"), PatternProblem::ParamName(String::new()));
    assert_eq!(problem("{a}:{a}"), PatternProblem::ParamTwice("a".into()));
    assert_eq!(problem("{a}{b}"), PatternProblem::Adjacent("b".into()));
}

#[test]
fn a_bound_of_zero_is_refused() {
    let any: Pattern = "{any}".parse().unwrap();
    assert_eq!(Rule::stream().keep(0).check(&any), Err(RuleError::Zero("keep")));
    assert_eq!(Rule::stream().ttl(Duration::ZERO).check(&any), Err(RuleError::Zero("ttl")));
    assert_eq!(Rule::stream().keep_bytes(0).check(&any), Err(RuleError::Zero("keep_bytes")));
    assert_eq!(Rule::stream().check(&any), Ok(()));
}

#[test]
fn every_channel_has_a_name_for_its_presence() {
    let long: ChannelName = "a".repeat(255).parse().unwrap();
    assert_eq!(long.presence().as_str().parse(), Ok(long.presence()));
    assert_eq!(long.presence().presence_of(), Some(long));
    for other in ["a", "@presence", "@presence/", "@revoked", "@Presence/a"] {
        assert_eq!(other.parse::<ChannelName>().unwrap().presence_of(), None, "{other}");
    }
}
