//! What stands at the edge: whose pages may ask, which proxies are believed, and how much one caller may take.
//!
//! Nothing here knows a channel or a transport. Each part is a small module with its own setting in the
//! [`Builder`](crate::Builder); the adapters ask them before they do anything else.

mod connections;
mod origins;
mod proxies;
mod publishing;
mod settings;

use std::sync::Arc;

use http::HeaderMap;
use http::header::ORIGIN;

pub(crate) use connections::{Connections, Most, Ticket, TooMany};
pub(crate) use origins::{Origin, Origins, host_and_port};
pub(crate) use proxies::Proxies;
pub(crate) use publishing::{Allowance, Publishing, RetryAfter};
pub(crate) use settings::EdgeSettings;

/// The node's edge.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    pub(crate) connections: Arc<Connections>,
    pub(crate) publishing: Publishing,
}

/// The origin of the page that made a request, where exactly one is named.
pub(crate) fn origin_of(headers: &HeaderMap) -> Option<Origin> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let only = origins.next().filter(|_| origins.next().is_none())?;
    only.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_origins_neither_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(origin_of(&headers), None);
        headers.append(ORIGIN, "http://app.example".parse().unwrap());
        assert_eq!(origin_of(&headers), "http://app.example".parse().ok());
        headers.append(ORIGIN, "http://evil.example".parse().unwrap());
        assert_eq!(origin_of(&headers), None);
    }
}
