//! Real servers that scenarios share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tricast_core::backplane::{Backplane, BoxFuture};

use super::Factory;

/// Servers that those scenarios share which run at a time, as the store of their nodes. They end with the last of those.
///
/// # Examples
/// ```no_run
/// use std::sync::{Arc, Mutex, Weak};
/// use tricast_core::backplane::{Backplane, BoxFuture};
/// use tricast_testkit::redis::Redis;
/// use tricast_testkit::suite::Servers;
///
/// static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
///
/// # fn connect(url: String) -> BoxFuture<'static, Arc<dyn Backplane>> {
/// #     unreachable!("{url}")
/// # }
/// tricast_testkit::backplane_suite!(Servers::share(&SERVER, Redis::start, Redis::url, connect));
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Servers<T> {
    _servers: Arc<T>,
    url: String,
    connect: Connect,
}

/// Makes a node of the store at a URL.
pub type Connect = fn(String) -> BoxFuture<'static, Arc<dyn Backplane>>;

impl<T> Servers<T> {
    /// The servers that somebody else uses at this time, or new ones.
    pub fn share(
        shared: &Mutex<Weak<T>>,
        start: impl FnOnce() -> T,
        url: impl FnOnce(&T) -> String,
        connect: Connect,
    ) -> Self {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = shared.upgrade().unwrap_or_else(|| Arc::new(start()));
        *shared = Arc::downgrade(&servers);
        Self { url: url(&servers), _servers: servers, connect }
    }
}

impl<T: Send + Sync> Factory for Servers<T> {
    fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>> {
        (self.connect)(self.url.clone())
    }
}
