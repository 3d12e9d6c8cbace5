//! The same by TLS, in front of which nothing changes.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tricast_client::{BuildError, Client, State, Transport};

use crate::support::{numbers, publish, server, soon, subscribe, until};

/// Ends TLS in front of a server, with a certificate for `localhost` that it gives in PEM.
async fn terminate(upstream: SocketAddr) -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Whoever does not trust the certificate goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut upstream = TcpStream::connect(upstream).await.unwrap();
                drop(copy_bidirectional(&mut stream, &mut upstream).await);
            });
        }
    });
    (address, cert.pem())
}

#[tokio::test]
async fn each_transport_works_by_tls() {
    let server = server();
    let (address, pem) = terminate(server.address()).await;
    let url = format!("https://localhost:{}/rt", address.port());
    for transport in Transport::ALL {
        let client = Client::builder(&url).transports([transport]).root_certificates(pem.as_str()).build().unwrap();
        let channel = format!("open:{transport}");
        let mut room = subscribe(&client, &channel, None).await;
        publish(&client, &channel, 0..3).await;
        assert_eq!(numbers(&mut room, 3).await, [0, 1, 2], "{transport}");
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_who_is_trusted_is_refused() {
    let server = server();
    let (address, _) = terminate(server.address()).await;
    let (_, other) = terminate(server.address()).await;
    let url = format!("https://localhost:{}/rt", address.port());
    let client = Client::builder(&url).root_certificates(other).build().unwrap();
    let subscribing = tokio::spawn(client.channel("open:a").unwrap().subscribe(None));
    let state = until(&client, |state| matches!(state, State::Waiting { .. })).await;
    let State::Waiting { failure, .. } = state else { unreachable!() };
    assert!(failure.to_string().to_lowercase().contains("certificate"), "{failure}");
    soon(client.close()).await;
    assert!(soon(subscribing).await.unwrap().is_err());
}

#[tokio::test]
async fn what_holds_no_certificate_is_told_when_building() {
    let nothing = Client::builder("https://localhost/rt").root_certificates("nothing").build();
    assert!(matches!(nothing, Err(BuildError::Certificates(_))));
}
