//! The server that a command talks to.

use std::convert::Infallible;
use std::fmt;

use clap::Args;
use tricast_client::{Builder, Client};

/// Where a server is, and who asks.
#[derive(Args)]
pub(crate) struct Remote {
    /// The server, with the path under which its channels are.
    #[arg(
        long,
        value_name = "URL",
        env = "TRICAST_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8000/rt"
    )]
    pub(crate) url: String,

    /// Who is asking: a token as `tricast token make` prints it.
    ///
    /// Other users of the machine can see arguments, but not the environment: prefer TRICAST_TOKEN.
    #[arg(long, value_name = "TOKEN", env = "TRICAST_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Remote {
    pub(crate) fn client(&self) -> Builder {
        let builder = Client::builder(&self.url);
        match &self.token {
            // An empty variable is one that is not set.
            Some(token) if !token.is_empty() => {
                let token = token.clone();
                builder.token(move || {
                    let token = token.clone();
                    async move { Ok::<_, Infallible>(token) }
                })
            }
            _ => builder,
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}
