//! What becomes of requests when connections and whole endpoints fail, and that nothing secret is told meanwhile.

use std::io::Write;

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

const DONE: &str = r#"{"data":null}"#;
const VERSION: &str = r#"{"data":{"release":"9.1","version":"9.1.8"}}"#;

/// Bound and dropped, so that nobody listens there.
async fn dead() -> Url {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    format!("http://{address}").parse().unwrap()
}

#[tokio::test]
async fn a_question_on_a_connection_that_just_closed_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(None, move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => String::new(),
        _ => ok(VERSION),
    })
    .await;
    assert!(server.client().version().await.unwrap().at_least(9, 1));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_change_on_a_connection_that_just_closed_is_not_sent_again() {
    let first = Server::start(None, |_| String::new()).await;
    let second = Server::start(None, |_| ok(DONE)).await;
    let endpoints = vec![first.url.clone(), second.url.clone()];
    let client = Client::new(Options::new(endpoints, token())).unwrap();
    let error = client.delete_ip_set_row("pve", 1, "lab", "10.0.0.1", "d").await.unwrap_err();
    assert!(error.is_unknown_outcome(), "{error}");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
    // Whoever looks what became of it asks the other endpoint.
    assert_eq!(client.0.endpoints.order(), [1, 0]);
}

#[tokio::test]
async fn a_change_that_was_not_delivered_goes_to_the_next_endpoint_and_the_dead_one_rests() {
    let server = Server::start(None, |_| ok(DONE)).await;
    let endpoints = vec![dead().await, server.url.clone()];
    let client = Client::new(Options::new(endpoints, token())).unwrap();
    client.delete_ip_set_row("pve", 1, "lab", "10.0.0.1", "d").await.unwrap();
    assert_eq!(server.seen().len(), 1);
    assert_eq!(client.0.endpoints.order(), [1, 0]);
}

#[tokio::test]
async fn refusals_that_close_the_connection_cost_no_request() {
    let server = Server::start(None, |line| {
        if line.contains("vmid=101 ") {
            refusal(
                "400 Parameter verification failed.",
                r#"{"data":null,"errors":{"vmid":"VM 101 already exists"}}"#,
            )
        } else {
            ok(r#"{"data":"102"}"#)
        }
    })
    .await;
    let client = server.client();
    for _ in 0..20 {
        assert!(!client.vmid_is_free(101).await.unwrap());
        assert!(client.vmid_is_free(102).await.unwrap());
    }
    assert_eq!(server.seen().len(), 40, "each was sent exactly once");
}

/// The real server closes a connection after five idle seconds, and a change that meets that moment has an unknown
/// outcome: well before, a new connection is made.
#[tokio::test]
async fn a_connection_is_used_again_at_once_but_not_after_a_pause() {
    const { assert!(IDLE.as_secs() < 5) };
    let server = Server::start(None, |_| ok(DONE)).await;
    let client = server.client();
    let change = || client.delete_ip_set_row("pve", 1, "lab", "10.0.0.1", "d");
    change().await.unwrap();
    change().await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    tokio::time::sleep(IDLE + Duration::from_millis(200)).await;
    change().await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn a_task_whose_time_is_up_is_stopped() {
    let stopped = AtomicBool::new(false);
    let server = Server::start(None, move |line| {
        if line.starts_with("DELETE") {
            stopped.store(true, Ordering::SeqCst);
            return ok(DONE);
        }
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
    let soon = Deadline::after(Duration::from_millis(300), &CancellationToken::new());
    let error = server.client().wait_or_stop(&upid, &soon).await.unwrap_err();
    assert!(error.is_timed_out(), "{error}");
    assert_eq!(server.seen().iter().filter(|request| request.starts_with("DELETE")).count(), 1);
}

/// Where log lines go.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn at_the_finest_level_no_line_and_no_error_tells_the_secret() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(None, |line| {
        if line.contains("version") {
            ok(VERSION)
        } else {
            refusal("401 Authentication failed!", "")
        }
    })
    .await;
    let endpoints = vec![dead().await, server.url.clone()];
    let options = Options::new(endpoints, token());
    let client = Client::new(options.clone()).unwrap();
    client.version().await.unwrap();
    let error = client.vmid_is_free(101).await.unwrap_err();
    let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(told.contains("proxmox"), "nothing was logged: {told}");
    assert!(server.seen()[0].contains("11111111-2222"), "the secret is what is sent");
    for text in [told, format!("{error} {error:?}"), format!("{options:?}")] {
        assert!(!text.contains("11111111-2222"), "{text}");
    }
}
