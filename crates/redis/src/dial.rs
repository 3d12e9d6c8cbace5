//! Connections to one server each.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::error::{ConnectError, LinkError};
use crate::url::{Address, Target};

/// Commands that wait in this process for the socket. Above them it is their callers who wait.
const QUEUED_COMMANDS: usize = 512;

/// Opens connections, as the URL has them.
pub(crate) struct Dialer {
    tls: Option<TlsConnector>,
    login: RedisConnectionInfo,
    /// Of those that are asked about servers.
    nobody: RedisConnectionInfo,
    pub(crate) timeout: Duration,
}

/// A connection, and the task that moves its bytes.
pub(crate) struct Wire {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) task: Running,
}

/// A task that ends when this does.
pub(crate) struct Running(JoinHandle<()>);

impl Running {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }

    /// Resolves when the task has ended.
    pub(crate) async fn ended(&mut self) {
        // Whether it ended well makes no difference.
        drop(Pin::new(&mut self.0).await);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Dialer {
    pub(crate) fn new(target: &Target, roots: Option<&[u8]>, timeout: Duration) -> Result<Self, ConnectError> {
        let nobody = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        let mut login = nobody.clone().set_db(target.database);
        if let Some(user) = &target.user {
            login = login.set_username(user);
        }
        if let Some(password) = &target.password {
            login = login.set_password(password);
        }
        let tls = if target.tls { Some(connector(roots)?) } else { None };
        Ok(Self { tls, login, nobody, timeout })
    }

    /// Connects and logs in; what is pushed goes to `pushes`.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Wire, LinkError> {
        self.dial_as(&self.login, address, pushes).await
    }

    /// Connects to a sentinel, which knows other users than the servers it looks after.
    pub(crate) async fn dial_sentinel(&self, address: &Address) -> Result<Wire, LinkError> {
        self.dial_as(&self.nobody, address, None::<Deaf>).await
    }

    async fn dial_as(
        &self,
        login: &RedisConnectionInfo,
        address: &Address,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Wire, LinkError> {
        let mut config = AsyncConnectionConfig::new()
            // Deadlines are those of calls, which may be more than one command.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUED_COMMANDS);
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        let opening = async {
            let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(LinkError::io)?;
            tcp.set_nodelay(true).map_err(LinkError::io)?;
            match &self.tls {
                None => wire(login, tcp, config).await,
                Some(tls) => {
                    let name = ServerName::try_from(address.host.clone())
                        .map_err(|_| LinkError::Name(address.host.clone()))?;
                    wire(login, tls.connect(name, tcp).await.map_err(LinkError::io)?, config).await
                }
            }
        };
        tokio::time::timeout(self.timeout, opening).await.unwrap_or(Err(LinkError::Silent(self.timeout)))
    }
}

async fn wire<S>(login: &RedisConnectionInfo, stream: S, config: AsyncConnectionConfig) -> Result<Wire, LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (connection, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    Ok(Wire { connection, task: Running::spawn(driver) })
}

fn connector(roots: Option<&[u8]>) -> Result<TlsConnector, ConnectError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| ConnectError::Roots(Arc::new(error)))?;
                store.add(certificate).map_err(|error| ConnectError::Roots(Arc::new(error)))?;
            }
        }
        None => {
            // One that cannot be read is one that is not trusted.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Roots(Arc::new(error)))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Hears nothing.
pub(crate) struct Deaf;

impl AsyncPushSender for Deaf {
    fn send(&self, _: redis::PushInfo) -> Result<(), redis::aio::SendError> {
        Ok(())
    }
}
