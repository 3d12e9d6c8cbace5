//! What a hook answers that does not let something happen.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use tricast_core::protocol::Code;

/// The longest `retry_after` that is told; a longer one is cut to it. Browsers' timers end at 24 days.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A hook's refusal: a code that the caller's program understands, and a message for its developer.
///
/// There is a constructor for each code that an application may give; the others say something about Tricast itself.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tricast::Refused;
/// let refused = Refused::rate_limited("at most one a second", Duration::from_secs(1));
/// assert_eq!(refused.code().as_str(), "rate_limited");
/// assert_eq!(refused.to_string(), "rate_limited: at most one a second");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    code: Code,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl Refused {
    /// What was sent makes no sense to the application. Not to be tried again.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Code::BadRequest, message)
    }

    /// This caller may not do this. Not to be tried again.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Code::Forbidden, message)
    }

    /// It contradicts what there is. Not to be tried again as it is.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Code::Conflict, message)
    }

    /// It is larger than the application takes. Not to be tried again.
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Code::TooLarge, message)
    }

    /// Too much in too short a time: to be tried again after `retry_after`, at most a day.
    pub fn rate_limited(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        let retry_after = Some(retry_after.min(LONGEST_RETRY_AFTER));
        Self { retry_after, ..Self::of(Code::RateLimited, message) }
    }

    /// What the application needs for it does not answer: may be tried again. Of a publish: the outcome is unknown.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Code::Unavailable, message)
    }

    /// A fault of the application: may be tried again.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Code::Internal, message)
    }

    pub(crate) fn of(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// To be tried again after this time.
    pub(crate) fn retried(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// The code that the caller is told.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The message that the caller is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// After how long the caller may try again, where that was said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refused {}

/// A hook that gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// It panicked.
    #[error("the application's {0} hook failed")]
    Failed(&'static str),
    /// It took longer than [`crate::Builder::hook_timeout`].
    #[error("the application's {0} hook took too long")]
    TimedOut(&'static str),
}

impl HookError {
    /// The code of the wire that says the same.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Failed(_) => Code::Internal,
            Self::TimedOut(_) => Code::Timeout,
        }
    }
}

impl From<HookError> for Refused {
    fn from(error: HookError) -> Self {
        Self::of(error.code(), error.to_string())
    }
}
