//! The loop over a real socket, and whom TLS believes.

use std::time::Duration;

use daybook_shared::time::Timestamp;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::tls::{LowerBound, Roots, store_of};
use super::{Client, ClientError, Options};
use crate::session::{HttpRequest, SyncEnd};
use crate::testing::{Phone, Server, at, case, listed, present};

const AUTHORITY: &[u8] = include_bytes!("fixtures/authority.der");
/// Signed by [`AUTHORITY`]; made with `openssl ca -startdate 20270301000000Z -enddate 20270601000000Z`.
/// For `daybook.test`, from 2027-03-01 to 2027-06-01.
const SERVER: &[u8] = include_bytes!("fixtures/server.der");

/// Goal: a phone whose trusted time stands still after a boot still connects to a server that renewed
/// its certificate, and an expired certificate stays expired.
#[test]
fn a_certificate_may_begin_after_trusted_time_but_not_end_before_it() {
    let roots = store_of(&Roots::These(vec![AUTHORITY.to_vec()])).unwrap();
    let verifier = LowerBound::new(roots, rustls::crypto::ring::default_provider().into()).unwrap();
    let verify = |trusted: &str, name: &'static str| {
        let seconds = u64::try_from(at(trusted).seconds()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(&CertificateDer::from(SERVER), &[], &name, &[], now).is_ok()
    };
    assert!(verify("2026-11-01T00:00:00Z", "daybook.test"), "not begun yet, as far as the phone knows");
    assert!(verify("2027-04-01T00:00:00Z", "daybook.test"));
    assert!(!verify("2027-07-01T00:00:00Z", "daybook.test"), "over");
    assert!(!verify("2027-04-01T00:00:00Z", "another.test"));
    let nobody = LowerBound::new(
        store_of(&Roots::These(vec![SERVER.to_vec()])).unwrap(),
        rustls::crypto::ring::default_provider().into(),
    );
    let name = ServerName::try_from("daybook.test").unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_hours(500_000));
    assert!(nobody.unwrap().verify_server_cert(&CertificateDer::from(AUTHORITY), &[], &name, &[], now).is_err());
}

#[test]
fn plain_http_is_for_this_host_only() {
    let client = |url: &str, plain_http| {
        Client::new(url, Options { roots: Roots::None, plain_http, ..Options::default() }).map(drop)
    };
    assert!(client("http://127.0.0.1:8080", false).is_ok() && client("http://localhost:1/", false).is_ok());
    assert!(client("https://daybook.example.com", false).is_ok());
    assert!(matches!(client("http://daybook.example.com", false), Err(ClientError::PlainHttp(_))));
    assert!(client("http://daybook.example.com", true).is_ok());
    for nonsense in ["daybook.example.com", "ftp://daybook.example.com", "", "http://"] {
        assert!(matches!(client(nonsense, false), Err(ClientError::Address(_))), "{nonsense}");
    }
}

/// Goal: the loop feeds a session over a real socket, in chunks, and gives up when nobody answers.
#[tokio::test]
async fn a_phone_enrols_and_syncs_over_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut phone = Phone::new();
    let mut server = Server::new();
    let key = phone.store.signer().unwrap().public();
    let enrolment = {
        let request = crate::enrol::enrolment_request(&phone.store, "code", "test").unwrap();
        server.enrol(&request, &phone.store)
    };
    assert_eq!(server.device_key, Some(key));
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    let serving = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let Some(request) = read_request(&mut socket).await else { continue };
            let (status, body) =
                if request.path == "/v1/enrolments" { (201, enrolment.clone()) } else { server.answer(&request) };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            socket.write_all(head.as_bytes()).await.unwrap();
            for chunk in body.chunks(64) {
                socket.write_all(chunk).await.unwrap();
                socket.flush().await.unwrap();
            }
        }
    });
    let client = Client::new(&url, Options::default()).unwrap();
    let now = phone.now;
    let clock = || now;
    client.enrol(&mut phone.store, ("code", "test"), &clock, &mut phone.rng).await.unwrap();
    phone.cash(1, 100);
    let report = client.sync(&mut phone.store, &clock, &mut phone.rng).await.unwrap();
    assert_eq!((report.end, report.entries_answered), (SyncEnd::UpToDate, 1));
    assert_eq!(phone.store.dossiers().unwrap(), [(case(1), 3)]);
    let wrong = client.login(&mut phone.store, ("a", "b"), &clock, &mut phone.rng).await;
    assert!(wrong.is_err(), "this server gives out no leases");
    serving.abort();
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> Option<HttpRequest> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        (socket.read_buf(&mut bytes).await.unwrap() > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let path = ["/v1/sync", "/v1/enrolments", "/v1/leases"].into_iter().find(|known| *known == path)?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let length: usize = value("content-length")?.parse().ok()?;
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        (socket.read_buf(&mut body).await.unwrap() > 0).then_some(())?;
    }
    let proof = value("daybook-device")?;
    Some(HttpRequest { method: "POST", path: path.into(), headers: vec![("daybook-device", proof)], body })
}

#[test]
fn many_phones_can_sync_in_one_program() {
    fn send<T: Send>(_: T) {}
    let mut phone = Phone::new();
    let (client, now) = (Client::new("http://127.0.0.1:1", Options::default()).unwrap(), phone.now);
    send(client.sync(&mut phone.store, &|| now, &mut phone.rng));
}

#[test]
fn tls_is_set_up_for_any_trusted_time() {
    for trusted in [Timestamp::EPOCH, at("2030-01-01T00:00:00Z")] {
        assert!(super::tls::config(&Roots::These(vec![AUTHORITY.to_vec()]), trusted).is_ok());
    }
}
