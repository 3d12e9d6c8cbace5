//! What can be made wrong on purpose, so that a test shows that each check can fail.

/// One thing that is done wrong throughout a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A stream's log keeps one message more than it says.
    KeepsOneMore,
    /// A log knows no id again.
    ForgetsIds,
    /// A reader to whom nothing was lost is told of a gap.
    GapForNothing,
    /// A reader is moved over what it lost without a word.
    SilentGap,
    /// The readers of states are told of no deletion.
    SkipsDeletions,
    /// A batch is lost on a connection that goes on.
    LosesBatches,
    /// A client delivers what it has already.
    DeliversRepeats,
    /// A client hears every connection that it has, whoever owns the channel.
    HearsEveryConnection,
    /// A client believes a connection that it asked before its position was replaced.
    BelievesVoidAnswers,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::KeepsOneMore,
        Self::ForgetsIds,
        Self::GapForNothing,
        Self::SilentGap,
        Self::SkipsDeletions,
        Self::LosesBatches,
        Self::DeliversRepeats,
        Self::HearsEveryConnection,
        Self::BelievesVoidAnswers,
    ];
}
