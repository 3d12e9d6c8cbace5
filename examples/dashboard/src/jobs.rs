//! Long jobs: started by a request, watched on a channel. Whoever reloads, or opens a second window, sees them go on.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use tricast::{Draft, PublishError, Tricast};

use crate::notify::euros;
use crate::problem::Problem;
use crate::session::Visitor;
use crate::shop::Product;
use crate::state::App;

/// How long it takes to count one shelf, of so many products.
const SHELF: usize = 10;
const COUNTING: Duration = Duration::from_millis(150);

/// How long a finished job is shown.
const SHOWN: Duration = Duration::from_secs(60);

/// What `POST /jobs` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Started {
    job: u64,
    channel: String,
}

/// `POST /jobs`: counts the stock. The answer comes at once, and names the channel that has the progress.
pub(crate) async fn start(State(app): State<App>, visitor: Visitor) -> Result<impl IntoResponse, Problem> {
    let permit = app.take_work()?;
    let job = app.next_number();
    let channel = format!("jobs:{visitor}");
    let stock: Vec<Product> = app.shop().products().map(|(_, product)| product.clone()).collect();
    let board = Board { tricast: app.tricast, channel: channel.clone(), key: job.to_string() };
    let begun = Progress::of(&stock, 0);
    board.tell(&begun).await?;
    tokio::spawn(async move {
        if let Err(problem) = count(&board, &stock).await {
            tracing::warn!(%problem, job, "a job's progress could not be told");
        }
        drop(permit);
    });
    Ok((StatusCode::ACCEPTED, Json(Started { job, channel })))
}

async fn count(board: &Board, stock: &[Product]) -> Result<(), PublishError> {
    for done in (SHELF..=stock.len()).step_by(SHELF) {
        tokio::time::sleep(COUNTING).await;
        board.tell(&Progress::of(stock, done)).await?;
    }
    Ok(())
}

/// Where a job's progress is told.
struct Board {
    tricast: Tricast,
    channel: String,
    key: String,
}

impl Board {
    async fn tell(&self, progress: &Progress) -> Result<(), PublishError> {
        let draft = Draft::json(progress)?.key(self.key.as_str());
        let draft = if progress.is_done() { draft.ttl(SHOWN) } else { draft };
        self.tricast.publish(&self.channel, draft).await.map(drop)
    }
}

/// How far a job is. The newest one is all that matters, so it is a state's message.
#[derive(Debug, Serialize)]
struct Progress {
    title: &'static str,
    done: usize,
    of: usize,
    text: String,
}

impl Progress {
    fn of(stock: &[Product], done: usize) -> Self {
        let text = match stock.get(done) {
            Some(next) => format!("Counting {}", next.name),
            None => {
                let pieces: u64 = stock.iter().map(|product| u64::from(product.stock)).sum();
                let worth = stock.iter().map(|product| u64::from(product.stock) * product.price).sum();
                format!("{pieces} pieces, worth {}", euros(worth))
            }
        };
        Self { title: "Stocktaking", done, of: stock.len(), text }
    }

    fn is_done(&self) -> bool {
        self.done == self.of
    }
}
