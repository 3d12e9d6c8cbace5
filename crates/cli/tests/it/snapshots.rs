//! What is printed, word by word: `tests/cmd` has a file for each command.
//!
//! After a change that was meant, `TRYCMD=overwrite cargo test -p tricast-cli snapshots` writes them anew.

#[test]
fn help_and_errors_read_as_they_were_written() {
    let cases = trycmd::TestCases::new();
    cases.env("RUST_LOG", "error");
    cases.case("tests/cmd/*.trycmd");
}
