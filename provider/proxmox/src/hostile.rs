//! Answers of anything that says it is Proxmox, and what must hold whatever they say. The seeds are
//! tested here, the rest is found by fuzzing (`tests/fuzz`).
//!
//! The whole client is driven, through a server on the loopback that answers what it is told.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::{ApiToken, Class, Client, ConfigUpdate, Error, Options, Upid};

const SECRET: &str = "6f1a0c52-secret-of-the-token";
const UPID: &str = "UPID:pve:00000330:0003BE25:6B02D58C:qmclone:9000:root@pam!tf:";

/// What the server answers next: head and body.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct World {
    runtime: Runtime,
    client: Client,
    upid: Upid,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("its address");
    runtime.spawn(serve(listener));
    let endpoint = format!("http://{address}").parse::<url::Url>().expect("a URL");
    let token = format!("root@pam!tf={SECRET}").parse::<ApiToken>().expect("a token");
    let client = Client::new(Options::new(vec![endpoint], token)).expect("a client");
    World { runtime, client, upid: UPID.parse().expect("a UPID") }
});

/// Runs as long as somebody waits for an answer.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream));
    }
}

async fn talk(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if !line.trim().is_empty() {
            continue;
        }
        stream.read_exact(&mut vec![0; length]).await?;
        length = 0;
        let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stream.write_all(&answer).await?;
    }
}

/// An answer to one of the client's calls: a letter that chooses it, the status and its reason in the
/// first line, then the body.
pub fn answer(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = (&bytes[..line], bytes.get(line + 1..).unwrap_or_default());
    let Some((call, head)) = head.split_first() else { return };
    let head = String::from_utf8_lossy(head);
    let (status, reason) = head.trim().split_once(' ').unwrap_or((head.trim(), ""));
    let status = status.parse::<u16>().unwrap_or(200);
    // Others have no body, or are no final answer.
    let status = if (200..600).contains(&status) && ![204, 205, 304].contains(&status) {
        status
    } else {
        200
    };
    let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
    let mut raw = format!(
        "HTTP/1.1 {status} {reason}\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    raw.extend(body);
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = raw;

    let World { runtime, client, upid } = &*WORLD;
    match runtime.block_on(call_by(*call, client, upid)) {
        Ok(()) => assert!(status < 300, "a refusal with status {status} was taken for success"),
        Err(error) => check(&error, status),
    }
}

fn check(error: &Error, status: u16) {
    let (shown, debugged) = (error.to_string(), format!("{error:?}"));
    assert!(!shown.is_empty() && !shown.contains(SECRET) && !debugged.contains(SECRET));
    assert_ne!(error.class(), &Class::NotDelivered, "the server is there: {shown}");
    assert!(error.status().is_none_or(|said| said == status));
    let _ = (error.is_transient(), error.parameters(), error.log_tail());
}

async fn call_by(letter: u8, client: &Client, upid: &Upid) -> Result<(), Error> {
    match letter % 16 {
        0 => client.version().await.map(drop),
        1 => client.nodes().await.map(drop),
        2 => client.vms().await.map(drop),
        3 => client.node_storages("pve", Some("images"), None).await.map(drop),
        4 => client.permissions(Some("/vms")).await.map(drop),
        5 => client.pools().await.map(drop),
        6 => client.ip_sets("pve", 9990).await.map(drop),
        7 => client.ip_set("pve", 9990, "lab").await.map(drop),
        8 => client.vm_status("pve", 9000).await.map(drop),
        9 => client.task_log(upid, 20).await.map(drop),
        10 => client.start_vm("pve", 9000).await.map(|upid| {
            assert_eq!(upid.to_string().parse().as_ref(), Ok(&upid));
        }),
        11 => client.create_ip_set("pve", 9990, "lab", "ks1 pool").await,
        12 => client.set_vm_config("pve", 9000, &ConfigUpdate::new().cores(2)).await,
        13 => client.resize_disk("pve", 9000, "scsi0", 1 << 30).await.map(drop),
        14 => client.vm_current_config("pve", 9000).await.map(drop),
        _ => client.vm_config("pve", 9000).await.map(|config| {
            let _ = (config.first_line(), config.cloud_init_drive());
            assert!(config.disks.keys().all(|slot| config.disk(slot).is_some()));
        }),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_harmless() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/proxmox");
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).unwrap() {
            super::answer(&std::fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 3, "the seeds are missing");
    }
}
