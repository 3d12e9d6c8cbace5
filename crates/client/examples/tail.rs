//! Prints what is published to a channel, whatever becomes of the server.
//!
//! ```sh
//! tricast serve --dev &
//! cargo run -p tricast-client --example tail -- http://127.0.0.1:8000/rt chat:1
//! ```

use std::env;
use std::error::Error;

use futures_util::StreamExt as _;
use tricast_client::{Client, Event, Start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(url), Some(channel)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tail URL CHANNEL".into());
    };
    let client = Client::builder(&url).build()?;
    let mut states = client.states();
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            eprintln!("{}", state.as_str());
        }
    });
    let mut events = client.channel(&channel)?.subscribe(Start::Last(10)).await?;
    while let Some(event) = events.next().await {
        match event {
            Event::Message(message) => println!("{}", message.to_json()),
            Event::Gap(gap) => eprintln!("messages are missing before {} ({})", gap.position, gap.reason),
            Event::Failed(refusal) => eprintln!("{refusal}; trying again"),
            _ => {}
        }
    }
    Ok(())
}
