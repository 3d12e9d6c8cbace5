//! A connection on which one server, in one life, is called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Value, cmd, pipe};
use tokio::sync::Notify;

use crate::dial::{Deaf, Dialer, Running};
use crate::error::LinkError;
use crate::refusal::{Refusal, array};
use crate::request::{Keeps, Life, Request};
use crate::script::Script;
use crate::server::{Look, syncs_always};
use crate::url::Address;

/// What a [`Link`] assumes of its server.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// It stands alone: another in its place is not foreseen.
    pub(crate) is_single: bool,
    /// It loses nothing when it restarts.
    pub(crate) restart: bool,
    /// The key that says that a replica was there once.
    pub(crate) replicated: String,
}

/// A connection to one life of one server. When that ends, it does.
pub(crate) struct Link {
    pub(crate) address: Address,
    connection: MultiplexedConnection,
    digests: Vec<String>,
    trust: Trust,
    first: Look,
    /// What goes with every call; changes with what the server is configured to.
    life: Mutex<Arc<Life>>,
    /// Each write is on disk before it is acknowledged, and was so when the last look was taken.
    durable: AtomicBool,
    trouble: Mutex<Option<String>>,
    lost: Notify,
    why: OnceLock<LinkError>,
}

impl Link {
    /// Connects to a master, and looks at it.
    pub(crate) async fn open(dialer: &Dialer, address: &Address, trust: &Trust) -> Result<(Self, Running), LinkError> {
        let wire = dialer.dial(address, None::<Deaf>).await?;
        let opening = async {
            let mut connection = wire.connection;
            let look = look(&mut connection).await?;
            if !look.is_master {
                return Err(LinkError::NoMaster);
            }
            let digests = load_scripts(&mut connection).await?;
            let life = Arc::new(Life {
                server: look.life.clone(),
                durable: false,
                keeps: Keeps::Nothing,
                replid: Some(look.replid.clone()),
            });
            let link = Self {
                address: address.clone(),
                connection,
                digests,
                trust: trust.clone(),
                first: look.clone(),
                life: Mutex::new(life),
                durable: AtomicBool::new(false),
                trouble: Mutex::new(None),
                lost: Notify::new(),
                why: OnceLock::new(),
            };
            link.judge(look).await?;
            Ok(link)
        };
        let link = tokio::time::timeout(dialer.timeout, opening).await;
        Ok((link.unwrap_or(Err(LinkError::Silent(dialer.timeout)))?, wire.task))
    }

    /// Calls a script. A caller that goes away leaves open whether it ran.
    pub(crate) async fn call(&self, request: &Request, asking: bool) -> Result<Vec<Value>, Refusal> {
        let command = request.command(&self.digests[request.script.index()], &self.life());
        let mut connection = self.connection.clone();
        let answer = if asking {
            let mut both = pipe();
            both.cmd("ASKING").add_command(command);
            connection.send_packed_commands(&both, 1, 1).await?.pop().unwrap_or(Value::Nil)
        } else {
            connection.send_packed_command(&command).await?
        };
        self.known(array(answer)?)
    }

    /// Calls scripts one after the other in one go; each has an answer of its own.
    pub(crate) async fn call_all(&self, requests: &[Request]) -> Result<Vec<Result<Vec<Value>, Refusal>>, Refusal> {
        let life = self.life();
        let mut all = pipe();
        for request in requests {
            all.add_command(request.command(&self.digests[request.script.index()], &life));
        }
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(&all, 0, requests.len()).await?;
        Ok(answers.into_iter().map(|answer| array(answer).and_then(|values| self.known(values))).collect())
    }

    /// Loads the scripts again, after somebody had the server forget them.
    pub(crate) async fn load(&self) -> Result<(), Refusal> {
        load_scripts(&mut self.connection.clone()).await.map(|_| ()).map_err(Refusal::Lost)
    }

    /// What a cluster's node says of slots.
    pub(crate) async fn slots(&self) -> Result<Value, LinkError> {
        Ok(self.connection.clone().send_packed_command(cmd("CLUSTER").arg("SLOTS")).await?)
    }

    /// Looks at the server again.
    pub(crate) async fn check(&self) -> Result<(), LinkError> {
        let look = look(&mut self.connection.clone()).await?;
        if !look.is_master {
            return Err(LinkError::NoMaster);
        }
        if look.life != self.first.life {
            return Err(LinkError::Stranger);
        }
        self.judge(look).await
    }

    /// Gives the link up; whoever waits for [`Link::lost`] is told why.
    pub(crate) fn lose(&self, why: LinkError) {
        if self.why.set(why).is_ok() {
            self.lost.notify_one();
        }
    }

    /// Resolves when somebody gave the link up.
    pub(crate) async fn lost(&self) -> LinkError {
        self.lost.notified().await;
        self.why.get().cloned().unwrap_or(LinkError::Ended)
    }

    /// Why the server may forget what it should keep.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn life(&self) -> Arc<Life> {
        Arc::clone(&self.life.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn known(&self, values: Vec<Value>) -> Result<Vec<Value>, Refusal> {
        let is_stranger = matches!(values.as_slice(), [Value::BulkString(status)] if status == b"stranger");
        if is_stranger { Err(Refusal::Server(LinkError::Stranger)) } else { Ok(values) }
    }

    /// Decides what a restart of this server would mean, and what its last one meant.
    async fn judge(&self, look: Look) -> Result<(), LinkError> {
        let Look { evicts, has_replicas, appends, rewrites, .. } = look;
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = evicts;
        let mut connection = self.connection.clone();
        let mut alone = self.trust.is_single;
        if alone {
            alone = !has_replicas && !was_replicated(&mut connection, &self.trust.replicated).await?;
            if has_replicas {
                // Remembered where a restart finds it, for then the replica may be gone.
                let mut set = cmd("SET");
                succeed(connection.send_packed_command(set.arg(&self.trust.replicated).arg("1")).await?)?;
            }
        }
        let syncs = alone && appends && syncs_always(&durability(&mut connection).await?);
        // A file that was begun only now lacks what was there before; one that was complete once is complete.
        let durable = syncs && (!rewrites || self.durable.load(Ordering::Relaxed));
        self.durable.store(durable, Ordering::Relaxed);
        let keeps = match (self.trust.restart, syncs) {
            (true, _) => Keeps::Always,
            (false, true) => Keeps::Durable,
            (false, false) => Keeps::Nothing,
        };
        let replid = (!alone).then(|| self.first.replid.clone());
        let life = Life { server: self.first.life.clone(), durable, keeps, replid };
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(life);
        Ok(())
    }
}

async fn look(connection: &mut MultiplexedConnection) -> Result<Look, LinkError> {
    let mut info = cmd("INFO");
    info.arg("server").arg("replication").arg("memory").arg("persistence");
    match connection.send_packed_command(&info).await? {
        Value::BulkString(text) => Look::parse(&String::from_utf8_lossy(&text)),
        Value::VerbatimString { text, .. } => Look::parse(&text),
        Value::ServerError(error) => Err(LinkError::Refused(error.into())),
        _ => Err(LinkError::Answer("INFO")),
    }
}

async fn load_scripts(connection: &mut MultiplexedConnection) -> Result<Vec<String>, LinkError> {
    let mut load = pipe();
    for script in Script::ALL {
        load.cmd("SCRIPT").arg("LOAD").arg(script.text());
    }
    let answers = connection.send_packed_commands(&load, 0, Script::ALL.len()).await?;
    let digest = |answer| match answer {
        Value::BulkString(digest) => String::from_utf8(digest).map_err(|_| LinkError::Answer("SCRIPT LOAD")),
        Value::ServerError(error) => Err(LinkError::Refused(error.into())),
        _ => Err(LinkError::Answer("SCRIPT LOAD")),
    };
    answers.into_iter().map(digest).collect()
}

async fn was_replicated(connection: &mut MultiplexedConnection, key: &str) -> Result<bool, LinkError> {
    match succeed(connection.send_packed_command(cmd("EXISTS").arg(key)).await?)? {
        Value::Int(count) => Ok(count > 0),
        _ => Err(LinkError::Answer("EXISTS")),
    }
}

/// What is configured about writes and disks; nothing where we may not know. An answer that does not come is not one that
/// says so: by it, what is written from then on would be given up at the next restart.
async fn durability(connection: &mut MultiplexedConnection) -> Result<Vec<(String, String)>, LinkError> {
    let mut get = cmd("CONFIG");
    get.arg("GET").arg("appendfsync").arg("no-appendfsync-on-rewrite");
    match connection.send_packed_command(&get).await? {
        Value::ServerError(_) => Ok(Vec::new()),
        answer => redis::from_redis_value(answer).map_err(|_| LinkError::Answer("CONFIG GET")),
    }
}

fn succeed(answer: Value) -> Result<Value, LinkError> {
    match answer {
        Value::ServerError(error) => Err(LinkError::Refused(error.into())),
        other => Ok(other),
    }
}
