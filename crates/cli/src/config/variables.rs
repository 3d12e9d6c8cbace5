//! `${NAME}` in a string: what the environment has.

use std::env::VarError;

use super::problem::Fault;

/// Where variables are looked up: [`std::env::var`], or a test's own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

/// A string with its variables put in. `$${` stands for `${`, and any other `$` for itself; what a variable holds is
/// taken as it is.
pub(super) fn expand(written: &str, environment: Environment<'_>) -> Result<String, Fault> {
    let mut meant = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            meant.push_str(before);
            meant.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(Fault::Unclosed)?;
        meant.push_str(before);
        meant.push_str(&variable(name, environment)?);
        rest = after;
    }
    meant.push_str(rest);
    Ok(meant)
}

fn variable(name: &str, environment: Environment<'_>) -> Result<String, Fault> {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err(Fault::VariableName(name.to_owned()));
    }
    environment(name).map_err(|error| match error {
        VarError::NotPresent => Fault::Unset(name.to_owned()),
        VarError::NotUnicode(_) => Fault::NotUnicode(name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(written: &str) -> Result<String, Fault> {
        expand(written, &|name| match name {
            "KEY" => Ok("s3cret".to_owned()),
            "ODD" => Ok("${KEY} $${".to_owned()),
            "EMPTY" => Ok(String::new()),
            "BYTES" => Err(VarError::NotUnicode("b".into())),
            _ => Err(VarError::NotPresent),
        })
    }

    #[test]
    fn variables_are_put_in_wherever_they_stand() {
        assert_eq!(expanded("${KEY}").unwrap(), "s3cret");
        assert_eq!(expanded("a ${KEY}, ${EMPTY}${KEY} b").unwrap(), "a s3cret, s3cret b");
        assert_eq!(expanded("no variable: $KEY $ {KEY} $1").unwrap(), "no variable: $KEY $ {KEY} $1");
    }

    #[test]
    fn what_a_variable_holds_is_not_expanded_again() {
        assert_eq!(expanded("${ODD}").unwrap(), "${KEY} $${");
    }

    #[test]
    fn two_dollars_stand_for_the_text_itself() {
        assert_eq!(expanded("$${KEY} and ${KEY}").unwrap(), "${KEY} and s3cret");
        assert_eq!(expanded("$$${KEY}").unwrap(), "$${KEY}");
    }

    #[test]
    fn what_cannot_be_put_in_is_named() {
        assert_eq!(expanded("x${NONE}").unwrap_err(), Fault::Unset("NONE".to_owned()));
        assert_eq!(expanded("${BYTES}").unwrap_err(), Fault::NotUnicode("BYTES".to_owned()));
        assert_eq!(expanded("${KEY").unwrap_err(), Fault::Unclosed);
        assert_eq!(expanded("${}").unwrap_err(), Fault::VariableName(String::new()));
        assert_eq!(expanded("${KEY:-x}").unwrap_err(), Fault::VariableName("KEY:-x".to_owned()));
    }
}
