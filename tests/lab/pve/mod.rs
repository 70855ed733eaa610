//! A simulated Proxmox VE: keeps state, speaks the real wire, answers with the real error texts.
//!
//! `Pve::start` runs one in process and stops it when it is dropped. Begin reading at `routes` (what there is), `state`
//! (the truth) and `server` (the wire); each of the other files is one part of the API.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all endpoints have one signature, also those that cannot fail"
)]
#![expect(clippy::format_push_string, reason = "the texts are small, and read best this way")]

mod access;
mod agent;
mod api;
mod clone;
mod cloudinit;
mod config;
mod config_keys;
mod create;
mod destroy;
mod disks;
mod faults;
mod firewall;
mod formats;
mod grants;
mod groups;
mod ha;
mod ipset;
mod journal;
mod locks;
mod login;
mod migrate;
mod nodes;
mod params;
mod permit;
mod pools;
mod power;
mod privileges;
mod random;
mod resize;
mod resources;
mod roles;
mod routes;
mod schema;
mod seed;
mod server;
mod snapshots;
mod state;
mod storage;
mod tasks;
#[cfg(test)]
mod tests;
mod tls;
mod users;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::faults::Fault;
pub use self::journal::Request;
use self::server::Server;
use self::world::{Pace, World};
use crate::guests::Guests;

/// Which Proxmox VE to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Version {
    /// 8.4.21
    #[default]
    #[value(name = "8.4")]
    V8_4,
    /// 9.1.8
    #[value(name = "9.1")]
    V9_1,
}

/// Which datacentre to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Seed {
    /// Three nodes, shared storage, two templates.
    #[default]
    Demo,
    /// One node, as it was when the reference answers were recorded.
    Conformance,
}

/// How to start a [`Pve`].
#[derive(Clone)]
pub struct Options {
    /// Which version to be.
    pub version: Version,
    /// Which datacentre to begin with.
    pub seed: Seed,
    /// Tasks and delays take almost no time.
    pub fast: bool,
    /// Between two rounds of the status daemon, which is how long names and states in `/cluster/resources` may be old:
    /// up to 10 s on the real thing. Unset, it follows `fast`.
    pub status_round: Option<Duration>,
    /// The name of one more template in the demo's datacentre, for guests with Kubernetes' own programs.
    pub kubernetes_template: Option<String>,
    /// Light guests to boot; without them machines only say that they run.
    pub guests: Option<Arc<Guests>>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            seed: Seed::default(),
            fast: true,
            status_round: None,
            kubernetes_template: None,
            guests: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// A running simulated Proxmox VE; dropping it stops it.
pub struct Pve {
    /// `https://127.0.0.1:PORT`, without `/api2/json`.
    pub url: String,
    /// The cluster's certificate authority.
    pub ca_pem: String,
    /// SHA-256 of the server's certificate, colons between the bytes.
    pub fingerprint: String,
    /// A token of root@pam without privilege separation: `root@pam!tf=SECRET`.
    pub token: String,
    world: Arc<World>,
    _stop: DropGuard,
}

impl Pve {
    /// Starts one and returns once it answers.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { version, seed, fast, status_round, kubernetes_template, guests, listen } =
            options;
        let (mut state, secret) = seed::build(seed, version);
        if let (Some(name), Seed::Demo) = (kubernetes_template, seed) {
            seed::add_kubernetes(&mut state, &name);
        }
        let nodes: Vec<_> = state.nodes.keys().cloned().collect();
        let (identity, config) = tls::identity(&nodes)?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let url = format!("https://{}", listener.local_addr()?);
        let pace = if fast { Pace::FAST } else { Pace::LIVELY };
        let pace = Pace { round: status_round.unwrap_or(pace.round), ..pace };
        let (ca_pem, fingerprint) = (identity.ca_pem.clone(), identity.fingerprint.clone());
        let world = World::new(state, version, pace, guests, identity);
        world.broadcast();
        let stop = CancellationToken::new();
        let server = Arc::new(Server { world: Arc::clone(&world), table: routes::table(version) });
        tokio::spawn(server.accept(listener, TlsAcceptor::from(config), stop.clone()));
        tokio::spawn(rounds(Arc::clone(&world), stop.clone()));
        let token = format!("root@pam!{}={secret}", seed::TOKEN);
        Ok(Self { url, ca_pem, fingerprint, token, world, _stop: stop.drop_guard() })
    }

    /// Every request since the start, or since [`Pve::forget_requests`].
    pub fn requests(&self) -> Vec<Request> {
        self.world.journal.all()
    }

    /// Begins a new journal of requests.
    pub fn forget_requests(&self) {
        self.world.journal.clear();
    }

    /// Sets a disturbance.
    pub fn add_fault(&self, fault: Fault) -> Result<()> {
        self.world.add_fault(fault).map_err(anyhow::Error::msg)
    }

    /// Takes all disturbances back.
    pub fn clear_faults(&self) {
        self.world.clear_faults();
    }

    /// The requests that a fault holds back now: method and path.
    pub fn held_requests(&self) -> Vec<String> {
        self.world.faults.held()
    }

    /// What an administrator does by hand on a node: sets or clears the lock of a machine (`qm unlock`).
    pub fn set_lock(&self, vmid: u32, lock: Option<&str>) -> Result<()> {
        let mut state = self.world.state();
        let vm = state.vms.get_mut(&vmid).with_context(|| format!("there is no VM {vmid}"))?;
        match lock {
            Some(lock) => drop(vm.config.insert("lock".to_owned(), lock.to_owned())),
            None => drop(vm.config.remove("lock")),
        }
        Ok(())
    }
}

/// The status daemon's rounds.
async fn rounds(world: Arc<World>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(world.pace.round);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => world.broadcast(),
        }
    }
}
