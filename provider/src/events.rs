//! Tells whoever watches what is going on: one JSON line an event, appended to the file that
//! `KUBESMITH_EVENTS` names. Terraform itself shows only a heartbeat.
//!
//! Every line is one `write` to a file opened for appending, so that the lines of resources that are
//! made at the same time never mix. Events are a courtesy: if the file cannot be written, work goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use kubesmith_spec::NodeName;
use kubesmith_spec::events::{Event, Phase, Receipt, Status, VERSION};

use crate::provider::environment;

/// Where the events of one resource go.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    file: Option<Arc<File>>,
    resource: &'static str,
    name: String,
}

impl Events {
    /// The events of the resource `name` of the type `resource`.
    pub(crate) fn open(resource: &'static str, name: &str) -> Self {
        let file = environment("KUBESMITH_EVENTS").and_then(|path| {
            let opened = OpenOptions::new().append(true).create(true).open(&path);
            opened
                .inspect_err(|error| tracing::warn!(path, %error, "events cannot be written"))
                .ok()
        });
        Self { file: file.map(Arc::new), resource, name: name.to_owned() }
    }

    /// Writes one event.
    pub(crate) fn tell(
        &self,
        phase: Phase,
        status: Status,
        kind: Option<&'static str>,
        step: &str,
        node: Option<&NodeName>,
        detail: Option<String>,
    ) {
        tracing::info!(
            name = self.name,
            ?phase,
            ?status,
            node = node.map(NodeName::as_str),
            detail,
            "{step}"
        );
        self.write(&Event {
            kind: kind.map(str::to_owned),
            step: step.to_owned(),
            node: node.cloned(),
            detail,
            ..self.event(phase, status)
        });
    }

    /// Writes the last event of a destroy: what was seen absent.
    pub(crate) fn receipt(&self, receipt: Receipt) {
        let step = "destroyed: Proxmox confirms that nothing is left".to_owned();
        tracing::info!(name = self.name, ?receipt, "{step}");
        let event = self.event(Phase::Destroy, Status::Done);
        self.write(&Event { step, receipt: Some(receipt), ..event });
    }

    fn event(&self, phase: Phase, status: Status) -> Event {
        Event {
            v: VERSION,
            time: jiff::Timestamp::now().to_string(),
            resource: self.resource.to_owned(),
            name: self.name.clone(),
            phase,
            kind: None,
            step: String::new(),
            status,
            node: None,
            detail: None,
            receipt: None,
        }
    }

    fn write(&self, event: &Event) {
        let Some(file) = &self.file else { return };
        let mut line = serde_json::to_vec(event).expect("an event has only string keys");
        line.push(b'\n');
        if let Err(error) = (&mut file.as_ref()).write_all(&line) {
            tracing::warn!(%error, "an event was lost");
        }
    }
}
