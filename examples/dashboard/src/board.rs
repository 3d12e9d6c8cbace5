//! What everybody sees: the shop ten times a second, its numbers and the machine's once a second.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use tricast::{Draft, DraftError, PublishError};

use crate::machine::Machine;
use crate::metric::Metric;
use crate::shop::TICKS;
use crate::state::App;

const SECOND: Duration = Duration::from_secs(1);

/// How far the sparklines of what Tricast does look back, in seconds.
const PAST: usize = 60;

/// Publishes all there is, once.
///
/// # Errors
/// Something cannot be published.
pub(crate) async fn open(app: &App) -> Result<(), PublishError> {
    let products: Result<Vec<Draft>, DraftError> =
        app.shop().products().map(|(key, product)| keyed(&key, product)).collect();
    publish(app, "products", products?).await?;
    publish_numbers(app).await
}

/// Runs the shop, for ever.
pub(crate) async fn run_shop(app: App) {
    let mut ticks = interval(SECOND / u32::try_from(TICKS).unwrap_or(1));
    // A machine that was asleep has nothing to catch up with.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if let Err(problem) = tick(&app).await {
            tracing::warn!(%problem, "the shop's news could not be published");
        }
    }
}

async fn tick(app: &App) -> Result<(), PublishError> {
    let (changes, has_counted) = {
        let mut shop = app.shop();
        shop.tick();
        (shop.changes(), shop.has_counted())
    };
    let rows: Result<Vec<Draft>, DraftError> = changes.iter().map(|(key, product)| keyed(key, product)).collect();
    publish(app, "products", rows?).await?;
    if has_counted { publish_numbers(app).await } else { Ok(()) }
}

async fn publish_numbers(app: &App) -> Result<(), PublishError> {
    let numbers = {
        let shop = app.shop();
        let numbers = shop.numbers();
        [
            keyed("revenue", &numbers.revenue)?,
            keyed("orders", &numbers.orders)?,
            keyed("basket", &numbers.basket)?,
            keyed("visitors", &numbers.visitors)?,
        ]
    };
    publish(app, "metrics:shop", numbers.into()).await
}

/// Watches the machine, for as long as it tells.
pub(crate) async fn run_machine(app: App) {
    let mut ticks = interval(SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut machine = match Machine::new() {
        Ok(machine) => machine,
        Err(problem) => return tracing::warn!(%problem, "this machine cannot be watched"),
    };
    let mut connections = Metric::new(PAST);
    loop {
        ticks.tick().await;
        // Asking the system blocks.
        let looked = tokio::task::spawn_blocking(move || {
            machine.look();
            machine
        });
        machine = match looked.await {
            Ok(machine) => machine,
            Err(problem) => return tracing::warn!(%problem, "this machine is not watched any more"),
        };
        connections.push(app.tricast.connections() as f64);
        if let Err(problem) = publish_machine(&app, &machine, &connections).await {
            tracing::warn!(%problem, "the machine's numbers could not be published");
        }
    }
}

async fn publish_machine(app: &App, machine: &Machine, connections: &Metric) -> Result<(), PublishError> {
    let numbers = vec![
        keyed("cpu", &machine.cpu)?,
        keyed("memory", &machine.memory)?,
        keyed("network", &machine.network)?,
        keyed("process", &machine.process)?,
        keyed("connections", connections)?,
    ];
    publish(app, "metrics:machine", numbers).await
}

fn keyed<T: Serialize>(key: &str, value: &T) -> Result<Draft, DraftError> {
    Ok(Draft::json(value)?.key(key))
}

async fn publish(app: &App, channel: &str, drafts: Vec<Draft>) -> Result<(), PublishError> {
    let outcomes = app.tricast.publish_many(drafts.into_iter().map(|draft| (channel, draft))).await;
    outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))
}
