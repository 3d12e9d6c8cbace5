//! `tricast pub`.

use std::io::{self, BufRead, Read, Write};
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tricast_client::{BuildError, ChannelName, Client, Draft, DraftError, PublishError, Published};

use crate::config::parse_time;
use crate::outcome::{Outcome, interrupt};
use crate::remote::Remote;

/// What `pub` is told on the command line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The channel to publish to.
    channel: ChannelName,

    /// The message, as JSON; `-` publishes each line of standard input, in order.
    ///
    /// Text is JSON with its quotes: '"hello"'. With --delete there is none.
    #[arg(value_name = "JSON", required_unless_present = "delete", allow_negative_numbers = true, value_parser = data)]
    data: Option<Data>,

    /// Names what happened; an EventSource hears it as an event of this name.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// Makes repeating harmless: a second message with this id is not appended.
    #[arg(long)]
    id: Option<String>,

    /// On a state: the key that this is the newest message of.
    #[arg(long)]
    key: Option<String>,

    /// On a state: how long the key lives unless it changes, as 30s or 5m.
    #[arg(long, value_name = "TIME", requires = "key", value_parser = parse_time)]
    ttl: Option<Duration>,

    /// On a state: deletes the key.
    #[arg(long, requires = "key", conflicts_with_all = ["data", "ttl"])]
    delete: bool,

    /// How long to try until a message is in the log.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    timeout: Duration,

    /// Prints each answer as a line of JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// What is to be published.
#[derive(Debug, Clone)]
enum Data {
    Json(String),
    Lines,
}

fn data(text: &str) -> Result<Data, String> {
    if text == "-" {
        return Ok(Data::Lines);
    }
    match Draft::json_text(text) {
        Ok(_) => Ok(Data::Json(text.to_owned())),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(format!("{error}{cause} (text needs quotes: '\"hello\"')"))
        }
    }
}

/// Why nothing, or not everything, was published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PubError {
    #[error(transparent)]
    Client(#[from] BuildError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(
        "{url} did not acknowledge the message within {timeout:?}; it may be in the log all the same \
        (with --id it can be repeated without harm)"
    )]
    Timeout { url: String, timeout: Duration },
    #[error("line {line} of the input")]
    Line { line: u64, source: Box<PubError> },
    #[error("it is no message")]
    Draft(#[from] DraftError),
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    #[error("it has more than {MOST_LINE_BYTES} bytes")]
    TooLong,
    #[error("cannot write to standard output")]
    Write(#[source] io::Error),
}

/// Publishes, and prints where in the log each message is.
///
/// # Errors
/// The first message that is not in the log, or of which that is not known.
pub(crate) async fn run(options: Options) -> Result<Outcome, PubError> {
    let client = options.remote.client().build()?;
    let outcome = tokio::select! {
        biased;
        () = interrupt() => Ok(Outcome::Interrupted),
        outcome = publish_all(&client, &options) => outcome.map(|()| Outcome::Done),
    };
    client.close().await;
    outcome
}

async fn publish_all(client: &Client, options: &Options) -> Result<(), PubError> {
    let draft = match (&options.data, &options.key) {
        (Some(Data::Lines), _) => return publish_lines(client, options).await,
        (Some(Data::Json(text)), _) => Draft::json_text(text)?,
        (None, key) => Draft::delete(key.as_deref().unwrap_or_default()),
    };
    publish(client, options, draft).await
}

async fn publish_lines(client: &Client, options: &Options) -> Result<(), PubError> {
    let mut lines = lines_of_stdin();
    let mut line = 0;
    while let Some(read) = lines.recv().await {
        line += 1;
        let outcome = match read.and_then(|text| Ok(Draft::json_text(&text)?)) {
            Ok(draft) => publish(client, options, draft).await,
            Err(error) => Err(error),
        };
        outcome.map_err(|source| PubError::Line { line, source: Box::new(source) })?;
    }
    eprintln!("published {line} {}", if line == 1 { "message" } else { "messages" });
    Ok(())
}

async fn publish(client: &Client, options: &Options, mut draft: Draft) -> Result<(), PubError> {
    if let Some(id) = &options.id {
        draft = draft.id(id.as_str());
    }
    if let Some(event) = &options.event {
        draft = draft.event(event.as_str());
    }
    if let Some(key) = &options.key {
        draft = draft.key(key.as_str());
    }
    if let Some(ttl) = options.ttl {
        draft = draft.ttl(ttl);
    }
    let timeout = options.timeout;
    let Ok(published) = tokio::time::timeout(timeout, client.publish(options.channel.as_str(), draft)).await else {
        return Err(PubError::Timeout { url: options.remote.url.clone(), timeout });
    };
    print(options.channel.as_str(), &published?, options.json).map_err(PubError::Write)
}

fn print(channel: &str, published: &Published, json: bool) -> io::Result<()> {
    let Published { id, position, duplicate } = published;
    let position = position.to_string();
    let mut out = io::stdout().lock();
    if json {
        let line = serde_json::json!({ "channel": channel, "position": position, "id": id, "duplicate": duplicate });
        writeln!(out, "{line}")
    } else {
        writeln!(out, "{position}{}", if *duplicate { " (it was there already)" } else { "" })
    }
}

/// The lines that are not empty, as they come: a few are read ahead, and no more.
fn lines_of_stdin() -> mpsc::Receiver<Result<String, PubError>> {
    let (sender, lines) = mpsc::channel(16);
    // A thread of its own: one of the runtime's that waits for input would keep the program from ending.
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = next_line(&mut input) {
            let last = line.is_err();
            if sender.blocking_send(line).is_err() || last {
                return;
            }
        }
    });
    lines
}

fn next_line(input: &mut impl BufRead) -> Option<Result<String, PubError>> {
    let mut line = String::new();
    match input.by_ref().take(MOST_LINE_BYTES + 1).read_line(&mut line) {
        Err(error) => Some(Err(PubError::Read(error))),
        Ok(0) => None,
        Ok(_) if line.len() as u64 > MOST_LINE_BYTES => Some(Err(PubError::TooLong)),
        Ok(_) => Some(Ok(line)),
    }
}

/// Bytes of a line; what a message may have at most, and room for the white space that is taken out of it.
const MOST_LINE_BYTES: u64 = 32 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  tricast pub chat:lobby '{\"text\":\"hello\"}'
  tricast pub state:cpu 0.7 --key web-1 --ttl 30s
  tricast pub state:cpu --key web-1 --delete
  seq 100 | tricast pub numbers -

Prints the position of each message once it is in the log.";
