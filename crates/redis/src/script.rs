//! The scripts: what is done in one step.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Append,
    Find,
    Head,
    Read,
    ReadBack,
    Renew,
}

impl Script {
    pub(crate) const ALL: [Self; 6] = [Self::Append, Self::Find, Self::Head, Self::Read, Self::ReadBack, Self::Renew];

    /// Its place in [`Script::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Its text: what all begin with, and its own.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Append => concat!(include_str!("../scripts/log.lua"), include_str!("../scripts/append.lua")),
            Self::Find => concat!(include_str!("../scripts/log.lua"), include_str!("../scripts/find.lua")),
            Self::Head => concat!(include_str!("../scripts/log.lua"), include_str!("../scripts/head.lua")),
            Self::Read => concat!(
                include_str!("../scripts/log.lua"),
                include_str!("../scripts/page.lua"),
                include_str!("../scripts/read.lua")
            ),
            Self::ReadBack => concat!(
                include_str!("../scripts/log.lua"),
                include_str!("../scripts/page.lua"),
                include_str!("../scripts/read_back.lua")
            ),
            Self::Renew => concat!(include_str!("../scripts/log.lua"), include_str!("../scripts/renew.lua")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricast_core::limits::{HOLDERS_PER_KEY, MAX_SEQ, STATE_DELETIONS};

    #[test]
    fn the_bounds_in_the_scripts_are_those_of_the_core() {
        let line = format!("MAX_SEQ, MOST_DELETIONS, MOST_HOLDERS = {MAX_SEQ}, {STATE_DELETIONS}, {HOLDERS_PER_KEY}\n");
        assert!(Script::Append.text().contains(&line), "{line}");
        assert!(Script::ALL.iter().enumerate().all(|(index, script)| script.index() == index));
    }
}
