//! The line to a provider: in this process, or to a program that serves in its debug mode.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::codegen::http::{Request, Response};
use tower::util::BoxCloneService;
use tower::{ServiceExt, service_fn};

use crate::provider::Provider;
use crate::service::Service;
use crate::wire::tfplugin6::provider_server::ProviderServer;

/// Where requests go.
pub(crate) type Wire = BoxCloneService<Request<Body>, Response<Body>, StdError>;

/// A line, and the program at its other end.
pub(crate) struct Line {
    wire: Wire,
    name: &'static str,
    _program: Option<Program>,
}

/// A provider program that serves until it is interrupted. Its output stays open: a program whose
/// reader is gone cannot speak.
struct Program(Child, Option<BufReader<ChildStdout>>);

impl Line {
    pub(crate) fn within<P: Provider>(provider: P) -> Self {
        let server = ProviderServer::new(Service::new(provider));
        let wire =
            BoxCloneService::new(ServiceExt::<Request<Body>>::map_err(
                server,
                |never| match never {},
            ));
        Self { wire, name: "in this process", _program: None }
    }

    /// Starts the program as a person would who wants to attach to it.
    pub(crate) fn to(mut command: Command) -> Result<Self, String> {
        let child = command.arg("--debug").stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut program = Program(child.map_err(|fault| format!("{command:?}: {fault}"))?, None);
        let stdout = program.0.stdout.take().ok_or("it has no output")?;
        let mut said = program.1.insert(BufReader::new(stdout)).lines().map_while(Result::ok);
        let socket = said.find_map(|line| socket(&line));
        let socket = socket.ok_or_else(|| format!("{command:?} did not say where it listens"))?;
        let connector = service_fn(move |_| {
            let socket = socket.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(socket).await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        });
        // The address is for the type only: the connector knows where to go.
        let channel = tonic::transport::Endpoint::from_static("http://localhost")
            .connect_with_connector_lazy(connector);
        let wire = BoxCloneService::new(channel.map_err(StdError::from));
        Ok(Self { wire, name: "in a program", _program: Some(program) })
    }

    pub(crate) fn wire(&self) -> Wire {
        self.wire.clone()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

/// The socket in the line that tells people how to attach.
fn socket(line: &str) -> Option<PathBuf> {
    let json = line.trim().strip_prefix("TF_REATTACH_PROVIDERS='")?.strip_suffix('\'')?;
    let providers: serde_json::Value = serde_json::from_str(json).ok()?;
    let provider = providers.as_object()?.values().next()?;
    provider["Addr"]["String"].as_str().map(PathBuf::from)
}

/// Interrupts it, so that it tidies up; what ignores that is killed.
impl Drop for Program {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        let _ = kill_process(Pid::from_child(&self.0), Signal::INT);
        let patience = Instant::now() + Duration::from_secs(3);
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > patience {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
