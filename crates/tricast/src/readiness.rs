//! Whether a node should be given connections: what a load balancer asks.

use std::time::Duration;

use tricast_core::backplane::Health;

use crate::hub::Hub;

/// Why a node should be given no connections for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It ends those that it has.
    #[error("draining")]
    Draining,
    /// What keeps the logs cannot serve; for operators to read, not for callers.
    #[error("the backplane is down: {0}")]
    Backplane(String),
}

impl Hub {
    /// Asks the backplane, for a bounded time.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        if self.draining().is_some() {
            return Err(NotReady::Draining);
        }
        let silent = || Health::Down(format!("no answer within {} s", HEALTH_TIMEOUT.as_secs()));
        let health = tokio::time::timeout(HEALTH_TIMEOUT, self.logs.backplane.health()).await;
        judge(health.unwrap_or_else(|_| silent()))
    }
}

fn judge(health: Health) -> Result<(), NotReady> {
    match health {
        // What it can still do is better done than refused.
        Health::Up | Health::Degraded(_) => Ok(()),
        Health::Down(reason) => Err(NotReady::Backplane(reason)),
    }
}

/// A backplane that takes longer to say how it is, is down.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tricast;

    #[tokio::test]
    async fn a_node_is_ready_until_it_drains() {
        let tricast = Tricast::builder().build().await.unwrap();
        assert_eq!(tricast.ready().await, Ok(()));
        tricast.drain(Duration::ZERO).await;
        assert_eq!(tricast.ready().await, Err(NotReady::Draining));
    }

    #[test]
    fn only_a_backplane_that_is_down_makes_it_unready() {
        assert_eq!(judge(Health::Up), Ok(()));
        assert_eq!(judge(Health::Degraded("slow".to_owned())), Ok(()));
        assert_eq!(judge(Health::Down("gone".to_owned())), Err(NotReady::Backplane("gone".to_owned())));
    }
}
