use proptest::prelude::*;
use serde::de::IgnoredAny;
use tricast_core::json::{JsonError, check_depth, compact, put_string};
use tricast_core::limits::JSON_DEPTH;

use crate::any;

/// What serde_json skips over is what counts as JSON here.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Text that is nearly JSON: its words in any order, and what is nearly a number or a string.
fn nearly_json() -> impl Strategy<Value = String> {
    let words = [
        "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u", "d800", "true", "false", "null", "nul", "0", "-1",
        "1.5", " ", "\n", "\t", "\r", "\u{b}", "\u{a0}", "\u{0}", "å", "/", "\\n",
    ];
    prop_oneof![
        prop::collection::vec(proptest::sample::select(words.to_vec()), 0..12).prop_map(|words| words.concat()),
        "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
        "\"(\\\\[a-z/\"\\\\]?|\\\\u[0-9a-gA-G]{3,5}|[ -~]){0,4}\"",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_printed_prettily_is_compacted_to_the_plain_print(value in any::value()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(compact(&pretty).unwrap(), value.to_string());
        prop_assert_eq!(check_depth(&pretty), Ok(()));
    }

    #[test]
    fn compacting_twice_changes_nothing(value in any::value()) {
        let once = value.to_string();
        prop_assert_eq!(compact(&once).unwrap(), once.as_str());
    }

    #[test]
    fn exactly_what_serde_json_takes_is_taken(text in prop_oneof![nearly_json(), ".{0,30}".boxed()]) {
        prop_assert_eq!(compact(&text).is_ok(), is_json(&text), "{:?}", text);
    }

    #[test]
    fn a_value_that_was_damaged_is_judged_as_serde_json_does(value in any::value(), at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut text = value.to_string();
        let at = at.index(text.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1));
        text.replace_range(at..=at, &char::from(byte).to_string());
        prop_assert_eq!(compact(&text).is_ok(), is_json(&text), "{:?}", text);
    }

    #[test]
    fn depth_is_judged_alike_by_both(depth in JSON_DEPTH - 3..JSON_DEPTH + 4, object in any::<bool>()) {
        let (open, close) = if object { ("{\"a\":", "}") } else { ("[", "]") };
        let text = format!("{}0{}", open.repeat(depth), close.repeat(depth));
        prop_assert_eq!(check_depth(&text).is_ok(), depth <= JSON_DEPTH);
        prop_assert_eq!(compact(&text).is_ok(), depth <= JSON_DEPTH);
        if depth > JSON_DEPTH {
            prop_assert_eq!(compact(&text), Err(JsonError::TooDeep));
        }
    }

    #[test]
    fn a_string_is_written_as_serde_json_writes_it(text in any::text()) {
        let mut out = Vec::new();
        put_string(&mut out, &text);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
    }
}
