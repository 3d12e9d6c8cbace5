//! Publishes numbers, one a second, each of which is in the log once, whatever becomes of the connection.
//!
//! ```sh
//! tricast serve --dev &
//! cargo run -p tricast-client --example counter -- http://127.0.0.1:8000/rt chat:1
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use tricast_client::{Client, Draft};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(url), Some(channel)) = (arguments.next(), arguments.next()) else {
        return Err("usage: counter URL CHANNEL".into());
    };
    let client = Client::builder(&url).build()?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for number in 0_u64.. {
        ticks.tick().await;
        let published = client.publish(&channel, Draft::json(&number)?.event("count")).await?;
        println!("{number} is at {}", published.position);
    }
    Ok(())
}
