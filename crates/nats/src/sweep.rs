//! Forgetting states without keys that nobody asked for in a day: streams leave by their age, states do not.

use futures_util::{StreamExt as _, stream};
use tricast_core::channel::{ChannelName, Kind};

use crate::entry::Entry;
use crate::limits::{LIFE_MS, SPARE_MS};
use crate::shared::Shared;
use crate::store::StoreError;

/// States that are looked at at once; the others follow.
const AT_ONCE: usize = 32;

/// Looks at all states.
pub(crate) async fn sweep(shared: &Shared) -> Result<(), StoreError> {
    let channels = shared.store.channels(Kind::State, shared.deadline()).await?;
    let looking: Vec<_> = channels.into_iter().map(|channel| look_at(shared, channel)).collect();
    let looked = stream::iter(looking).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    looked.into_iter().collect()
}

async fn look_at(shared: &Shared, channel: ChannelName) -> Result<(), StoreError> {
    let (names, deadline) = (&shared.store.names, shared.deadline());
    let (stream, subject) = (names.stream(Kind::State), names.entries(Kind::State, &channel));
    let Some(last) = shared.store.last(&stream, &subject, deadline).await? else { return Ok(()) };
    // What cannot be read is for whoever asks for the channel.
    let Ok(entry) = Entry::decode(&last.payload) else { return Ok(()) };
    let age = shared.clock.wall_ms().saturating_sub(entry.written_ms);
    if entry.keys > 0 || age < LIFE_MS + SPARE_MS {
        return Ok(());
    }
    // An entry that is written just now stays, and has all that it takes to go on.
    for filter in [subject, names.all_parts(&channel)] {
        shared.store.purge(Kind::State, &filter, last.sequence + 1, deadline).await?;
    }
    Ok(())
}
