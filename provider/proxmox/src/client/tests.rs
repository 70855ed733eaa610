//! Against a small server that has the real one's habits: errors in the reason phrase, and a closed connection after them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{ApiToken, CloneVm, DestroyDisks, Upid};

mod connections;

const CLONE_UPID: &str = "UPID:pve:00000330:0003BE25:6B02D58C:qmclone:9000:root@pam!tf:";
const MINUTE: Duration = Duration::from_mins(1);

struct Server {
    url: Url,
    /// Head and body of every request.
    seen: Arc<Mutex<Vec<String>>>,
    most_at_once: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// `answer` gets a request's first line and makes the raw answer; an empty one closes the connection.
    async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = Self {
            url,
            seen: Arc::default(),
            most_at_once: Arc::default(),
            connections: Arc::default(),
        };
        let connections = Arc::clone(&server.connections);
        let (seen, most) = (Arc::clone(&server.seen), Arc::clone(&server.most_at_once));
        let (answer, at_once) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, most, at_once) =
                    (Arc::clone(&seen), Arc::clone(&most), Arc::clone(&at_once));
                let (answer, tls) = (Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    let answer = |head: &str| answer(head);
                    match tls {
                        None => talk(socket, &seen, &at_once, &most, answer).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                talk(socket, &seen, &at_once, &most, answer).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    fn client(&self) -> Client {
        Client::new(Options::new(vec![self.url.clone()], token())).unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn talk(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    at_once: &AtomicUsize,
    most: &AtomicUsize,
    answer: impl Fn(&str) -> String,
) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.parse().unwrap());
        while bytes.len() < end + length {
            socket.read_buf(&mut bytes).await.unwrap();
        }
        most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Others that are allowed to come at the same time get their chance.
        tokio::time::sleep(Duration::from_millis(2)).await;
        at_once.fetch_sub(1, Ordering::SeqCst);
        seen.lock()
            .unwrap()
            .push(String::from_utf8(bytes.drain(..end + length).collect()).unwrap());
        let raw = answer(head.lines().next().unwrap());
        let _ = socket.write_all(raw.as_bytes()).await;
        let _ = socket.flush().await;
        if raw.is_empty() || raw.contains("Connection: close") {
            let _ = socket.shutdown().await;
            return;
        }
    }
}

fn token() -> ApiToken {
    "root@pam!tf=11111111-2222".parse().unwrap()
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn refusal(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn deadline() -> Deadline {
    Deadline::after(MINUTE, &CancellationToken::new())
}

#[tokio::test]
async fn requests_have_the_form_that_the_server_insists_on() {
    let server = Server::start(None, |_| ok(&format!(r#"{{"data":"{CLONE_UPID}"}}"#))).await;
    let client = server.client();
    let clone = CloneVm {
        node: "pve".into(),
        vmid: 9000,
        newid: 19201,
        name: "demo-cp-1".into(),
        description: "kubesmith:v1 a=b\n100% + ü".into(),
        pool: Some("lab/demo".into()),
        storage: None,
        full: false,
        target: None,
    };
    let upid = client.clone_vm(&clone).await.unwrap();
    client.start_vm("pve", 19201).await.unwrap();
    client.delete_vm("pve", 19201, DestroyDisks::Own).await.unwrap();
    client.stop_task(&upid).await.unwrap();

    let seen = server.seen();
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api2/json/nodes/pve/qemu/9000/clone HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: PVEAPIToken=root@pam!tf=11111111-2222"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded"), "{head}");
    assert_eq!(
        body,
        "newid=19201&name=demo-cp-1&description=kubesmith%3Av1%20a%3Db%0A100%25%20%2B%20%C3%BC&full=0&pool=lab%2Fdemo"
    );
    assert!(seen[1].contains("\r\ncontent-length: 0\r\n"), "{}", seen[1]);
    assert!(seen[2].starts_with(
        "DELETE /api2/json/nodes/pve/qemu/19201?purge=1&destroy-unreferenced-disks=0 HTTP/1.1\r\n"
    ));
    assert!(seen[3].starts_with("DELETE /api2/json/nodes/pve/tasks/UPID%3Apve%3A00000330%3A0003BE25%3A6B02D58C%3Aqmclone%3A9000%3Aroot%40pam%21tf%3A HTTP"));
    for request in &seen {
        assert!(!request.contains("transfer-encoding"), "{request}");
        assert!(!request.starts_with("DELETE") || !request.contains("content-length"), "{request}");
    }
}

#[tokio::test]
async fn the_reason_phrase_speaks_when_the_body_does_not() {
    let server = Server::start(None, |line| match line.split(' ').nth(1).unwrap() {
        "/api2/json/version" => refusal("401 Authentication failed!", ""),
        "/api2/json/nodes" => refusal("595 No route to host", ""),
        "/api2/json/pools" => refusal("500 old server's words", r#"{"data":null}"#),
        _ => refusal("500 first line", r#"{"data":null,"message":"first line\nsecond line\n"}"#),
    })
    .await;
    let client = server.client();
    let error = client.version().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /version: Authentication failed! [HTTP 401]; check the API token"
    );
    let error = client.nodes().await.unwrap_err();
    assert_eq!((error.class(), error.message()), (&Class::NotDelivered, "No route to host"));
    assert_eq!(client.pools().await.unwrap_err().message(), "old server's words");
    assert_eq!(client.vms().await.unwrap_err().message(), "first line\nsecond line");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_for_a_write_and_repeatable_for_a_read() {
    let server = Server::start(None, |_| String::new()).await;
    let client = server.client();
    let error = client.start_vm("pve", 100).await.unwrap_err();
    assert!(error.is_unknown_outcome() && !error.is_transient(), "{error}");
    assert!(error.to_string().ends_with("; it is not known whether it was done"), "{error}");
    let error = client.version().await.unwrap_err();
    assert_eq!(error.class(), &Class::NotDelivered);
    assert!(error.to_string().contains("no answer from http://127.0.0.1:"), "{error}");

    let half = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{\"data\":";
    let server = Server::start(None, move |_| half.to_owned()).await;
    let error = server.client().start_vm("pve", 100).await.unwrap_err();
    assert!(error.is_unknown_outcome(), "{error}");
    assert!(error.to_string().contains("the answer was cut off: "), "{error}");
}

#[tokio::test]
async fn what_is_no_proxmox_is_named() {
    let server = Server::start(None, |_| ok("<html>hello</html>")).await;
    let error = server.client().version().await.unwrap_err();
    assert_eq!(error.class(), &Class::Malformed);
    assert!(error.to_string().contains("does not answer like Proxmox VE"), "{error}");
    let plain = Options::new(vec!["http://pve.example:8006".parse().unwrap()], token());
    assert!(Client::new(plain).err().unwrap().to_string().contains("must begin with https://"));
    let none = Client::new(Options::new(vec![], token())).err().unwrap();
    assert_eq!(none.to_string(), "no endpoint is given");
}

#[tokio::test]
async fn a_login_that_gives_no_ticket_is_no_login() {
    for (body, said) in [
        (
            r#"{"data":{"ticket":"PVE:!tfa!x","CSRFPreventionToken":"y","NeedTFA":1}}"#,
            "the account has a second factor",
        ),
        (r#"{"data":{"username":"root@pam"}}"#, "the login gave no ticket"),
        (r#"{"data":{"ticket":"a b","CSRFPreventionToken":"y"}}"#, "the login gave no ticket"),
    ] {
        let server = Server::start(None, move |_| ok(body)).await;
        let options = Options::new(vec![server.url.clone()], token());
        let error = Client::log_in(options, "root@pam", "secret").await.err().unwrap().to_string();
        assert!(error.contains(said) && !error.contains("secret"), "{body}: {error}");
    }
}

#[tokio::test]
async fn the_next_endpoint_is_tried_when_one_is_down() {
    let server =
        Server::start(None, |_| ok(r#"{"data":{"release":"9.1","version":"9.1.8"}}"#)).await;
    // Bound and dropped, so nobody listens there.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dead: Url = format!("http://{dead}").parse().unwrap();
    let mut options = Options::new(vec![dead.clone()], token());
    let alone = Client::new(options.clone()).unwrap().version().await.unwrap_err();
    assert!(
        alone.is_unreachable() && alone.to_string().contains(&format!("cannot reach {dead}")),
        "{alone}"
    );
    options.endpoints.push(server.url.clone());
    let client = Client::new(options).unwrap();
    assert!(client.version().await.unwrap().at_least(9, 1));
    assert_eq!(client.0.endpoints.order(), [1, 0]);
}

#[tokio::test]
async fn a_free_number_is_told_from_a_taken_one() {
    let taken = r#"{"data":null,"errors":{"vmid":"VM 101 already exists"},"message":"Parameter verification failed.\n"}"#;
    let server = Server::start(None, move |line| {
        if line.contains("vmid=101 ") {
            refusal("400 Parameter verification failed.", taken)
        } else {
            ok(r#"{"data":"102"}"#)
        }
    })
    .await;
    let client = server.client();
    assert!(!client.vmid_is_free(101).await.unwrap());
    assert!(client.vmid_is_free(102).await.unwrap());
}

#[tokio::test]
async fn the_ledger_calls_guard_what_the_server_does_not() {
    let rows = r#"{"data":[{"cidr":"10.40.19.201","comment":"ks1 l=demo","digest":"d1"},{"cidr":"10.40.19.240/28","digest":"d1","nomatch":1}]}"#;
    let server = Server::start(None, move |line| {
        if line.starts_with("GET") { ok(rows) } else { ok(r#"{"data":null}"#) }
    })
    .await;
    let client = server.client();
    let set = client.ip_set("pve", 9990, "lab").await.unwrap();
    assert_eq!((set.digest.as_deref(), set.server_time), (Some("d1"), Some(1_795_341_600)));
    assert_eq!(
        (set.rows[0].comment.as_str(), set.rows[1].comment.as_str(), set.rows[1].nomatch),
        ("ks1 l=demo", "", true)
    );
    client.delete_ip_set_row("pve", 9990, "lab", "10.40.19.240/28", "d1").await.unwrap();
    assert!(server.seen()[1].starts_with(
        "DELETE /api2/json/nodes/pve/qemu/9990/firewall/ipset/lab/10.40.19.240%2F28?digest=d1 HTTP"
    ));

    assert!(client.ip_set("pve", 9990, "Lab").await.is_err());
    assert!(client.add_ip_set_row("pve", 9990, "lab", "10.40.19.202", "two\nlines").await.is_err());
    assert_eq!(server.seen().len(), 2, "what is refused here is not sent");
}

#[tokio::test]
async fn a_task_is_awaited_over_a_node_that_stutters() {
    let polls = AtomicUsize::new(0);
    let server = Server::start(None, move |_| match polls.fetch_add(1, Ordering::SeqCst) {
        0 => refusal("596 Connection timed out", ""),
        _ => ok(r#"{"data":{"status":"stopped","exitstatus":"WARNINGS: 2"}}"#),
    })
    .await;
    let upid: Upid = CLONE_UPID.parse().unwrap();
    assert_eq!(server.client().wait(&upid, &deadline()).await.unwrap().warnings, 2);
}

#[tokio::test]
async fn a_task_that_has_vanished_leaves_its_outcome_unknown() {
    let gone = r#"{"data":null,"errors":{"upid":"no such task"}}"#;
    let server =
        Server::start(None, move |_| refusal("400 Parameter verification failed.", gone)).await;
    let upid: Upid = CLONE_UPID.parse().unwrap();
    assert!(server.client().wait(&upid, &deadline()).await.unwrap_err().is_unknown_outcome());
}

#[tokio::test]
async fn a_failed_task_brings_the_end_of_its_log() {
    let server = Server::start(None, |line| {
        if line.contains("/log?") {
            let lines: Vec<String> = (1..=30).map(|n| format!(r#"{{"n":{n},"t":"line {n}"}}"#)).collect();
            ok(&format!(r#"{{"data":[{}],"total":30}}"#, lines.join(",")))
        } else {
            ok(r#"{"data":{"status":"stopped","exitstatus":"clone failed: can't lock file '/x' - got timeout"}}"#)
        }
    })
    .await;
    let upid: Upid = CLONE_UPID.parse().unwrap();
    let error = server.client().wait(&upid, &deadline()).await.unwrap_err();
    assert_eq!((error.class(), error.task()), (&Class::Busy, Some(&upid)));
    assert_eq!((error.log_tail().len(), error.log_tail()[0].as_str()), (20, "line 11"));
}

#[tokio::test]
async fn cancelling_stops_the_task_and_sees_it_end() {
    let cancel = CancellationToken::new();
    let (stopped, cancelled) = (AtomicBool::new(false), cancel.clone());
    let server = Server::start(None, move |line| {
        if line.starts_with("DELETE") {
            stopped.store(true, Ordering::SeqCst);
            return ok(r#"{"data":null}"#);
        }
        cancelled.cancel();
        if line.contains("/log?") {
            ok(r#"{"data":[]}"#)
        } else if stopped.load(Ordering::SeqCst) {
            ok(r#"{"data":{"status":"stopped","exitstatus":"interrupted by signal"}}"#)
        } else {
            ok(r#"{"data":{"status":"running"}}"#)
        }
    })
    .await;
    let upid: Upid = CLONE_UPID.parse().unwrap();
    let error =
        server.client().wait_or_stop(&upid, &Deadline::after(MINUTE, &cancel)).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(error.to_string().contains("last seen: running"), "{error}");
    assert_eq!(server.seen().iter().filter(|request| request.starts_with("DELETE")).count(), 1);
}

#[tokio::test]
async fn a_node_is_not_asked_by_more_than_four_at_once() {
    let server = Server::start(None, |_| ok(r#"{"data":[]}"#)).await;
    let client = server.client();
    let all: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.node_storages("pve", None, None).await.unwrap() })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert!(server.most_at_once.load(Ordering::SeqCst) <= 4);
    assert_eq!(server.seen().len(), 16);

    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(client.clone_slot("shared", &deadline()).await.unwrap());
    }
    let soon = Deadline::after(Duration::from_millis(20), &CancellationToken::new());
    assert!(client.clone_slot("shared", &soon).await.unwrap_err().is_timed_out());
    drop(held.pop());
    client.clone_slot("shared", &deadline()).await.unwrap();
}

fn authority(name: &str) -> (Vec<u8>, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::OrganizationName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem().into_bytes();
    (pem, Issuer::new(params, key))
}

#[tokio::test]
async fn a_certificate_is_believed_by_its_authority_or_its_fingerprint() {
    let (ca, issuer) = authority("PVE Cluster Manager CA");
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], key)
    .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server =
        Server::start(Some(acceptor), |_| ok(r#"{"data":{"release":"9.1","version":"9.1.8"}}"#))
            .await;
    let with = |trust| {
        let options = Options { trust, ..Options::new(vec![server.url.clone()], token()) };
        async move { Client::new(options).unwrap().version().await }
    };

    let error = with(Trust::Ca(authority("PVE Cluster Manager CA").0)).await.unwrap_err();
    assert!(error.to_string().contains("only has the name of one that is known here"), "{error}");
    let error = with(Trust::Ca(authority("Another CA").0)).await.unwrap_err();
    let Class::Tls { seen_fingerprint: Some(seen) } = error.class().clone() else {
        panic!("{error}")
    };
    assert!(error.is_unreachable() && !error.is_transient());
    assert!(
        error.to_string().contains("certificate is not trusted: its issuer is not known here"),
        "{error}"
    );
    assert!(error.to_string().contains(&format!(
        "set ca_file to the cluster's CA (/etc/pve/pve-root-ca.pem), or fingerprint to {seen}"
    )));

    with(Trust::Ca(ca)).await.unwrap();
    with(Trust::Fingerprints(vec![seen.parse().unwrap()])).await.unwrap();
    let error =
        with(Trust::Fingerprints(vec!["00".repeat(32).parse().unwrap()])).await.unwrap_err();
    assert!(
        error.to_string().contains("it has another fingerprint than the configured one"),
        "{error}"
    );
    assert!(error.to_string().contains(&seen), "{error}");
}
