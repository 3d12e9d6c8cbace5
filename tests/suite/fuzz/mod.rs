//! Fuzzing a server by what arrives on its connections: bytes, from the first of the request's head on.
//!
//! Like the targets of `tricast_testkit::fuzz`, which does not know the server, these take any bytes and panic where a
//! property does not hold. They are tried for a moment here, and for hours by `tests/fuzz`.

mod pipe;
mod requests;
mod websockets;

pub(crate) use self::requests::requests;
pub(crate) use self::websockets::websockets;

#[cfg(test)]
mod tests {
    use tricast_testkit::fuzz::{OF_THE_SERVER, Target, drive};

    /// Enough to notice what breaks at once.
    const TRIES: u64 = 4_000;

    #[test]
    fn no_bytes_make_a_server_break_its_protocols() {
        let targets =
            [Target { name: "requests", run: super::requests }, Target { name: "websockets", run: super::websockets }];
        assert_eq!(targets.each_ref().map(|target| target.name), OF_THE_SERVER);
        for target in targets {
            drive(target, 1, TRIES);
        }
    }
}
