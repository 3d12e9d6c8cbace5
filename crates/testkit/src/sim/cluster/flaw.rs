//! What can be made wrong on purpose at the nodes of a cluster, so that a test shows that each check can fail.

/// One thing that is done wrong throughout a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Where news were lost, readers go on behind the hole.
    SkipsHoles,
    /// A reader is decided upon by what the copy says of the head.
    BelievesItsOwnHead,
    /// News of an epoch that is over begin it again.
    AdoptsOldEpochs,
    /// Two messages with one number are nobody's business.
    IgnoresForks,
    /// What was fetched for one filling is used for a later one.
    FillsWithOldPages,
    /// Readers who were owed something are not rung when the store answers again.
    NeverPays,
    /// A reader who stands before the beginning of a copy is served from its beginning on.
    ServesPastItsBeginning,
    /// A reader who has what the copy has is told that nothing is new, and nobody asks.
    SaysNothingNew,
    /// The heads of the copies are never compared.
    NeverCompares,
    /// Each reader asks the store by itself.
    AsksForEachReader,
    /// A copy is given up while somebody reads it.
    GivesUpWhatIsRead,
    /// A reader who comes while an epoch ends believes to have seen the end.
    MissesLives,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SkipsHoles,
        Self::BelievesItsOwnHead,
        Self::AdoptsOldEpochs,
        Self::IgnoresForks,
        Self::FillsWithOldPages,
        Self::NeverPays,
        Self::ServesPastItsBeginning,
        Self::SaysNothingNew,
        Self::NeverCompares,
        Self::AsksForEachReader,
        Self::GivesUpWhatIsRead,
        Self::MissesLives,
    ];
}
