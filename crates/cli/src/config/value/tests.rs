//! Single values.

use super::*;

fn text(written: &str) -> Value {
    Value::Text(Text { written: written.to_owned(), meant: written.to_owned() })
}

#[track_caller]
fn assert_all<T: PartialEq + std::fmt::Debug>(
    parse: impl Fn(&Value) -> Result<T, Fault>,
    good: &[(&str, T)],
    bad: &[&str],
) {
    for (written, meant) in good {
        assert_eq!(parse(&text(written)).as_ref(), Ok(meant), "{written}");
    }
    for written in bad {
        let fault = parse(&text(written)).unwrap_err();
        assert!(matches!(&fault, Fault::Text { written: told, .. } if told == written), "{written}: {fault}");
    }
}

#[test]
fn times_have_a_unit() {
    let ms = Duration::from_millis;
    let good = [
        ("500ms", ms(500)),
        ("25s", ms(25_000)),
        ("10m", ms(600_000)),
        ("24h", ms(86_400_000)),
        ("7 d", ms(604_800_000)),
    ];
    assert_all(
        duration,
        &good,
        &["", "s", "25", "25S", "-1s", "1.5s", "1h30m", "25  s", " 25s", "99999999999999999d", "+1s"],
    );
}

#[test]
fn sizes_may_have_a_unit() {
    let good = [("65536", 65_536), ("64KiB", 65_536), ("8MiB", 8 << 20), ("1 GiB", 1 << 30)];
    assert_all(
        size,
        &good,
        &["", "8MB", "8mib", "KiB", "-1", "1.5MiB", "99999999999999999999", "18014398509481984KiB"],
    );
    assert_eq!(size(&Value::Whole(1)), Ok(1));
}

#[test]
fn zero_and_what_is_below_it_are_told_apart() {
    assert_eq!(size(&Value::Whole(0)), Err(Fault::Zero));
    assert_eq!(size(&text("0MiB")), Err(Fault::Zero));
    assert_eq!(count(&Value::Whole(-1)), Err(Fault::Negative));
    assert_eq!(limit(&Value::Whole(-1), 9), Err(Fault::Negative));
    assert_eq!(limit(&Value::Whole(0), 9), Ok(0));
    assert_eq!(limit(&Value::Whole(9), 9), Ok(9));
    assert_eq!(limit(&Value::Whole(10), 9), Err(Fault::TooLarge("9".to_owned())));
    assert_eq!(limit(&Value::Whole(1 << 32), u32::MAX), Err(Fault::TooLarge("4294967295".to_owned())));
    assert_eq!(period(&text("0ms")), Err(Fault::Zero));
    assert_eq!(drain(&text("0s")), Ok(Duration::ZERO));
}

#[test]
fn deadlines_end_within_a_day() {
    assert_eq!(deadline(&text("24h")), Ok(DAY));
    for parse in [deadline, drain] {
        assert_eq!(parse(&text("1441m")), Err(Fault::TooLarge("24h".to_owned())));
    }
}

#[test]
fn a_mount_is_a_path_that_is_free() {
    let good = ["/rt", "/a/b.c-d_e~f", "/healthzy"].map(|path| (path, path.to_owned()));
    let bad =
        ["", "/", "rt", "/rt/", "//rt", "/a//b", "/{a}", "/*", "/a b", "/..", "/a?b", "/healthz", "/metrics/x", "/ü"];
    assert_all(mount, &good, &bad);
}

#[test]
fn an_origin_has_no_path() {
    let good = [
        ("https://app.example", "https://app.example"),
        ("HTTP://App.Example:8080", "http://app.example:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("app+x://localhost", "app+x://localhost"),
    ];
    let good = good.map(|(written, meant)| (written, meant.to_owned()));
    let bad = ["", "*", "null", "app.example", "https://", "https://app.example/", "https://a@b", "https://*.example"];
    let worse = ["1://a", "https://a:", "https://a:x", "https://a:0", "https://a:65536", "https://a?b", "https:///a"];
    assert_all(origin, &good, &[&bad[..], &worse, &["https://[::g]", "https://a b", "https://ü.example"]].concat());
}

#[test]
fn a_network_is_an_address_with_bits() {
    let good = ["10.0.0.0/8", "192.0.2.7", "::1", "fd00::/8", "0.0.0.0/0"].map(|it| (it, it.to_owned()));
    assert_all(network, &good, &["", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "a.example"]);
}

#[test]
fn a_cookie_has_the_name_of_a_token() {
    assert_all(cookie, &[("__Host-session", "__Host-session".to_owned())], &["", "a b", "a=b", "a;", "ü"]);
}

#[test]
fn what_is_shown_can_be_read_again() {
    for written in ["1ms", "25s", "90s", "10m", "7d"] {
        assert_eq!(show_time(duration(&text(written)).unwrap()), written);
    }
    assert_eq!(show_time(Duration::from_secs(86_400)), "1d");
    assert_eq!(show_time(Duration::ZERO), "0s");
    for written in ["1025", "64KiB", "8MiB", "3GiB"] {
        assert_eq!(show_size(size(&text(written)).unwrap()), written);
    }
}
