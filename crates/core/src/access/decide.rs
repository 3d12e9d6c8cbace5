//! What a rule asks of a caller.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Identity;
use crate::backplane::BoxFuture;
use crate::channel::{ChannelName, Params, Pattern};

/// What somebody wants to do with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read it: whoever may, may read all that it retains.
    Subscribe,
    /// Write to it.
    Publish,
}

/// A condition of the application's that can be told at once.
pub type Condition = Arc<dyn Fn(&Identity, &Params<'_>) -> bool + Send + Sync>;

/// A condition of the application's for which it has to ask somebody.
pub type AsyncCondition = Arc<dyn Fn(AccessRequest) -> BoxFuture<'static, bool> + Send + Sync>;

/// Who may do something on the channels of a rule. Closed unless said otherwise.
///
/// Whoever is the server may do anything. A token's capability for the channel is enough for all but
/// [`Access::Server`].
///
/// # Examples
/// ```
/// use tricast_core::access::{Access, Action, Identity, User, Verdict};
/// use tricast_core::channel::{ChannelName, Pattern};
///
/// let (pattern, channel): (Pattern, ChannelName) = ("user:{id}".parse()?, "user:ann".parse()?);
/// let ann = Identity::from(User::new("ann".parse()?));
/// let own = Access::when(|who, params| who.is(params.get("id")));
/// assert!(matches!(own.judge(&ann, Action::Subscribe, &pattern, &channel), Verdict::Allowed));
/// assert!(matches!(own.judge(&Identity::Anonymous, Action::Subscribe, &pattern, &channel), Verdict::Refused));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// Every caller, signed in or not.
    Anyone,
    /// Every user.
    SignedIn,
    /// The user whose id stands for `{user}` in the channel's name. A parameter runs to the next literal, so where one
    /// follows it, ids must not have that in them.
    Owner,
    /// Only who has a token that says so.
    Token,
    /// Only the application itself, and its back ends.
    #[default]
    Server,
    /// Whoever fulfils a condition: [`Access::when`].
    When(Condition),
    /// Whoever fulfils a condition for which somebody has to be asked: [`Access::ask`].
    Ask(AsyncCondition),
}

/// What is to be decided, by a condition for which somebody has to be asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccessRequest {
    /// Who.
    pub caller: Identity,
    /// What they want to do.
    pub action: Action,
    /// To which channel.
    pub channel: ChannelName,
    pattern: Arc<Pattern>,
}

impl AccessRequest {
    /// A request to be decided.
    #[must_use]
    pub fn new(caller: Identity, action: Action, channel: ChannelName, pattern: Arc<Pattern>) -> Self {
        Self { caller, action, channel, pattern }
    }

    /// What a parameter of the rule's pattern stands for in the channel's name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.pattern.matches(self.channel.as_str())?.get(name)
    }
}

/// What an [`Access`] says.
#[derive(Clone)]
pub enum Verdict {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
    /// This has to be asked.
    Ask(AsyncCondition),
}

impl Access {
    /// Whoever fulfils this condition. Told who and what the pattern's parameters stand for; must not block.
    ///
    /// It is asked for every subscription and every publish, and again when a token is renewed. Where it panics, nobody is
    /// let in.
    pub fn when(condition: impl Fn(&Identity, &Params<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::When(Arc::new(condition))
    }

    /// Whoever fulfils this condition, for which somebody may be asked: a database, another service.
    ///
    /// It is asked for every subscription and every publish, and again when a token is renewed. Where it panics or gives
    /// no answer in time, nobody is let in.
    ///
    /// # Examples
    /// ```
    /// use tricast_core::access::Access;
    /// async fn is_member(user: &str, room: &str) -> bool {
    ///     user == "ann" && room == "lobby"
    /// }
    /// let members = Access::ask(|request| async move {
    ///     match (request.caller.user(), request.param("room")) {
    ///         (Some(user), Some(room)) => is_member(user, room).await,
    ///         _ => false,
    ///     }
    /// });
    /// # let _ = members;
    /// ```
    pub fn ask<F>(condition: impl Fn(AccessRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self::Ask(Arc::new(move |request| Box::pin(condition(request))))
    }

    /// Whether this lets `who` do something on a channel that the pattern matches.
    #[must_use]
    pub fn judge(&self, who: &Identity, action: Action, pattern: &Pattern, channel: &ChannelName) -> Verdict {
        let allowed = match self {
            _ if who.is_server() => true,
            Self::Server => false,
            _ if has_capability(who, action, channel) => true,
            Self::Anyone => true,
            Self::SignedIn => who.user().is_some(),
            Self::Token => false,
            Self::Owner | Self::When(_) => {
                let Some(params) = pattern.matches(channel.as_str()) else { return Verdict::Refused };
                match self {
                    Self::When(condition) => fulfils(condition, who, &params),
                    _ => who.is(params.get(OWNER)),
                }
            }
            Self::Ask(condition) => return Verdict::Ask(Arc::clone(condition)),
        };
        if allowed { Verdict::Allowed } else { Verdict::Refused }
    }

    /// The parameter that a rule's pattern must have for this.
    #[must_use]
    pub fn needs_param(&self) -> Option<&'static str> {
        matches!(self, Self::Owner).then_some(OWNER)
    }

    /// Whether anonymous callers pass without being asked anything.
    #[must_use]
    pub fn is_anyone(&self) -> bool {
        matches!(self, Self::Anyone)
    }
}

/// The parameter that stands for a channel's owner.
const OWNER: &str = "user";

/// A panic is the application's, and no reason to end the connection of who asked, nor to let anybody in.
fn fulfils(condition: &Condition, who: &Identity, params: &Params<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| condition(who, params))).unwrap_or(false)
}

fn has_capability(who: &Identity, action: Action, channel: &ChannelName) -> bool {
    match who {
        Identity::User(user) => user.capabilities.allow(action, channel),
        Identity::Anonymous | Identity::Server => false,
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anyone => "Anyone",
            Self::SignedIn => "SignedIn",
            Self::Owner => "Owner",
            Self::Token => "Token",
            Self::Server => "Server",
            Self::When(_) => "When(…)",
            Self::Ask(_) => "Ask(…)",
        })
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "Allowed",
            Self::Refused => "Refused",
            Self::Ask(_) => "Ask(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Capabilities, User};

    fn user(id: &str, capabilities: Capabilities) -> Identity {
        User::new(id.parse().unwrap()).with(capabilities).into()
    }

    fn may(access: &Access, who: &Identity, action: Action) -> bool {
        let (pattern, channel) = ("dm:{user}:{any}".parse().unwrap(), "dm:ann:1".parse().unwrap());
        matches!(access.judge(who, action, &pattern, &channel), Verdict::Allowed)
    }

    #[test]
    fn each_access_lets_in_whom_it_names_and_nobody_else() {
        let nobody = Capabilities::default();
        let callers = [
            Identity::Anonymous,
            user("bob", nobody.clone()),
            user("ann", nobody.clone()),
            user("bob", nobody.clone().subscribe("dm:{all}".parse().unwrap())),
            user("bob", Capabilities::server()),
            Identity::Server,
        ];
        let cases = [
            (Access::Anyone, [true, true, true, true, true, true]),
            (Access::SignedIn, [false, true, true, true, true, true]),
            (Access::Owner, [false, false, true, true, true, true]),
            (Access::Token, [false, false, false, true, true, true]),
            (Access::Server, [false, false, false, false, true, true]),
            (Access::when(|who, _| who.user() == Some("bob")), [false, true, false, true, true, true]),
            (Access::default(), [false, false, false, false, true, true]),
        ];
        for (access, expected) in cases {
            let allowed = callers.each_ref().map(|who| may(&access, who, Action::Subscribe));
            assert_eq!(allowed, expected, "{access:?}");
        }
        let reader = &callers[3];
        assert!(!may(&Access::Token, reader, Action::Publish), "a capability is for one action");
    }

    #[test]
    fn a_capability_is_enough_where_somebody_would_have_to_be_asked() {
        let ask = Access::ask(|_| async { false });
        let (pattern, channel) = ("a{b}".parse().unwrap(), "ab".parse().unwrap());
        let judge = |who: &Identity| ask.judge(who, Action::Publish, &pattern, &channel);
        let able = user("bob", Capabilities::default().publish("ab".parse().unwrap()));
        assert!(matches!(judge(&able), Verdict::Allowed));
        assert!(matches!(judge(&Identity::Anonymous), Verdict::Ask(_)));
    }

    #[test]
    fn a_condition_that_panics_lets_nobody_in() {
        let broken = Access::when(|who, _| who.user().unwrap() == "bob");
        assert!(!may(&broken, &Identity::Anonymous, Action::Subscribe));
        assert!(may(&broken, &user("bob", Capabilities::default()), Action::Subscribe));
    }

    #[test]
    fn a_pattern_without_an_owner_has_none() {
        let (pattern, channel) = ("dm:{any}".parse().unwrap(), "dm:ann".parse().unwrap());
        let verdict = Access::Owner.judge(&user("ann", Capabilities::default()), Action::Publish, &pattern, &channel);
        assert!(matches!(verdict, Verdict::Refused));
    }
}
