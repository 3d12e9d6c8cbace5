//! A token that comes in band: the caller is somebody else from then on, and has other rights.

use std::sync::Arc;

use tricast_core::access::Action;
use tricast_core::channel::ChannelName;
use tricast_core::protocol::event::Bye;
use tricast_core::protocol::{Code, Event, Ref, Secret};

use super::{Asking, Bringer, Caller, Work, error};
use crate::auth::{Credentials, Login};
use crate::hooks::{Permits, Refused, Subscriber, Transport};
use crate::hub::Hub;
use crate::session::Delivery;

impl Work {
    /// Asks who brought a token in band.
    pub(super) fn find_out(&mut self, token: Secret, reference: Option<Ref>, hub: &Arc<Hub>) {
        let asked = Arc::clone(hub);
        let answer = hub.hooks.begin("authenticate", async move {
            asked.find_out(Credentials::of_token(&token, asked.clock.wall_ms())).await
        });
        self.asking = Some(Asking::LogIn { reference, answer });
    }

    /// The caller is who the token says from now on, and loses what that one may not read.
    pub(super) async fn log_in(
        &mut self,
        login: Login,
        reference: Option<Ref>,
        caller: &mut Caller<'_>,
        answers: &mut Vec<Event>,
    ) {
        let Caller { hub, bringer: Bringer::Socket { session, ending, .. }, .. } = caller else { return };
        if !caller.login.may_become(&login) {
            let refused = Refused::forbidden("the token is another user's than the connection's");
            answers.push(error(reference, None, refused.into()));
            return;
        }
        if let Err(refused) = ending.claim(&login.who, hub) {
            answers.push(error(reference, None, refused.into()));
            return;
        }
        session.log_in(login.clone()).await;
        ending.follow(&login, hub);
        caller.login = login;
        answers.extend(welcome(caller, reference));
        let (hub, who) = (caller.hub, caller.login.who.clone());
        leave(caller, answers, |channel| hub.allow(&who, Action::Subscribe, channel).err());
        let Bringer::Socket { session, client, .. } = &caller.bringer else { return };
        let subscriber = Subscriber { caller: &who, client: Some(client), transport: Transport::Ws };
        self.asking = hub.begin_permits(subscriber, session.channels()).map(|answer| Asking::Stay { answer });
    }
}

/// The answer to whoever is, or stays, who it is; none where there is no connection.
pub(super) fn welcome(caller: &Caller<'_>, reference: Option<Ref>) -> Option<Event> {
    let Bringer::Socket { client, .. } = &caller.bringer else { return None };
    Some(caller.hub.welcome(client, &caller.login, caller.hub.config.heartbeat_ws, reference))
}

/// Ends the subscriptions of which the application says so. Where it gives no answer, nothing may be read on, but nothing
/// is lost either: the connection ends, and its client comes back and asks again.
pub(super) fn stay(caller: &mut Caller<'_>, answers: &mut Vec<Event>, permits: &Permits) {
    let Bringer::Socket { session, .. } = &mut caller.bringer else { return };
    let mut refusals = session.channels().filter_map(|channel| permits.refusal(channel));
    let unanswered = refusals.find(|refused| refused.code().may_retry_as_is()).cloned();
    drop(refusals);
    if let Some(refused) = unanswered {
        let after = refused.retry_after();
        session.end(Bye { after, ..Bye::new(refused.code(), refused.message()) });
        return;
    }
    leave(caller, answers, |channel| permits.refusal(channel).map(Refused::code));
}

/// Ends the subscriptions to which the caller has no right any more.
fn leave(caller: &mut Caller<'_>, answers: &mut Vec<Event>, refused: impl Fn(&ChannelName) -> Option<Code>) {
    let Bringer::Socket { session, .. } = &mut caller.bringer else { return };
    let lost = session.channels().filter_map(|channel| Some((channel.clone(), refused(channel)?)));
    for (channel, code) in lost.collect::<Vec<_>>() {
        session.unsubscribe(&channel);
        answers.push(Delivery::ended(channel, code));
    }
}

/// The refusal of a token where none is taken.
pub(crate) fn not_found_out() -> Refused {
    Refused::of(Code::Unauthorized, "tokens are not taken here")
}
