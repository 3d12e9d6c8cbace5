//! The WebSocket code of `tricast`, echoing: what Autobahn's cases run against.

use std::io::{self, Write};

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = tricast::bind("127.0.0.1:0").await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    tricast::serve(listener, tricast::echo_router()).await
}
