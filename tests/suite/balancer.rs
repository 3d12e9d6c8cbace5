//! A load balancer that knows nothing of Tricast: it gives each connection to the next node that takes it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

/// It ends, with its connections, when this value goes.
#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    nodes: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Balancer {
    pub(crate) async fn start(nodes: Vec<SocketAddr>) -> Self {
        let listener = tricast::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nodes = Arc::new(Mutex::new(nodes));
        let task = tokio::spawn({
            let nodes = Arc::clone(&nodes);
            async move {
                let mut passing = JoinSet::new();
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    passing.spawn(pass(client, Arc::clone(&nodes)));
                }
            }
        });
        Self { address, nodes, task }
    }

    /// Passes new connections to nobody at this address any more.
    pub(crate) fn remove(&self, node: SocketAddr) {
        self.nodes.lock().unwrap().retain(|known| *known != node);
    }

    /// Passes new connections to this address too.
    pub(crate) fn add(&self, node: SocketAddr) {
        self.nodes.lock().unwrap().push(node);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, nodes: Arc<Mutex<Vec<SocketAddr>>>) {
    let tries = nodes.lock().unwrap().len();
    for _ in 0..tries {
        let next = {
            let mut nodes = nodes.lock().unwrap();
            let Some(next) = nodes.first().copied() else { return };
            nodes.rotate_left(1);
            next
        };
        if let Ok(mut node) = TcpStream::connect(next).await {
            // It ends with an error as well as without one.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut node).await;
            return;
        }
    }
}
