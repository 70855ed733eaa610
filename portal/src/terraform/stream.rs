//! Terraform's JSON stream, line by line. PURE.
//!
//! Types we do not know are shown by their message; a stream of another major version is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a line of the stream says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// Something is about to be done, is being done, or was done to a resource.
    Resource {
        /// Its address.
        address: String,
        /// `create`, `update`, `delete`, `replace`.
        action: String,
        /// How far it is.
        progress: Progress,
        /// Since when, in seconds, if it has begun.
        seconds: Option<u64>,
    },
    /// A warning or an error.
    Diagnostic(Diagnostic),
    /// An apply or a destroy has done everything and kept its state: said once, at the end.
    Applied(String),
    /// Anything else that people may want to read.
    Message(String),
    /// Nothing worth showing.
    Quiet,
}

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It stands in the plan.
    Planned,
    /// It has begun.
    Started,
    /// It goes on.
    Running,
    /// It ended well.
    Done,
    /// It ended badly.
    Failed,
}

/// A warning or an error of Terraform or the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether it is an error.
    pub error: bool,
    /// A few words.
    pub summary: String,
    /// All of it.
    pub detail: String,
}

/// A stream that must not be understood as if it were ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Terraform speaks version {0} of its JSON output; this portal understands 1.x. Install a Terraform that does"
)]
pub struct OtherVersion(String);

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(default)]
    ui: Option<String>,
    #[serde(default)]
    change: Value,
    #[serde(default)]
    hook: Value,
    #[serde(default)]
    diagnostic: Value,
    #[serde(default)]
    changes: Value,
}

/// Reads one line. What is not JSON is a message: plain text comes from crashes and from wrappers.
pub fn read(line: &str) -> Result<Line, OtherVersion> {
    let Ok(raw) = serde_json::from_str::<Raw>(line) else {
        return Ok(if line.trim().is_empty() {
            Line::Quiet
        } else {
            Line::Message(line.to_owned())
        });
    };
    Ok(match raw.kind.as_str() {
        "version" => return version(raw),
        "planned_change" => resource(&raw.change, Progress::Planned),
        "apply_start" => resource(&raw.hook, Progress::Started),
        "apply_progress" => resource(&raw.hook, Progress::Running),
        "apply_complete" => resource(&raw.hook, Progress::Done),
        "apply_errored" => resource(&raw.hook, Progress::Failed),
        "diagnostic" => Line::Diagnostic(Diagnostic {
            error: raw.diagnostic["severity"] == "error",
            summary: text(&raw.diagnostic["summary"]),
            detail: text(&raw.diagnostic["detail"]),
        }),
        "change_summary" if raw.changes["operation"] != "plan" => Line::Applied(raw.message),
        // Outputs may hold values; refreshes are noise.
        "outputs" | "refresh_start" | "refresh_complete" => Line::Quiet,
        _ if raw.message.is_empty() => Line::Quiet,
        _ => Line::Message(raw.message),
    })
}

fn version(raw: Raw) -> Result<Line, OtherVersion> {
    let ui = raw.ui.unwrap_or_default();
    if ui == "1" || ui.starts_with("1.") {
        Ok(Line::Message(raw.message))
    } else {
        Err(OtherVersion(ui))
    }
}

fn resource(of: &Value, progress: Progress) -> Line {
    Line::Resource {
        address: text(&of["resource"]["addr"]),
        action: text(&of["action"]),
        progress,
        seconds: of["elapsed_seconds"].as_u64(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_real_run() {
        let lines = [
            r#"{"@level":"info","@message":"Terraform 1.11.4","@module":"terraform.ui","terraform":"1.11.4","type":"version","ui":"1.2"}"#,
            r#"{"@level":"info","@message":"module.cluster.kubesmith_ip_lease.this: Plan to create","change":{"resource":{"addr":"module.cluster.kubesmith_ip_lease.this"},"action":"create"},"type":"planned_change"}"#,
            r#"{"@message":"still","hook":{"resource":{"addr":"module.cluster.kubesmith_cluster.this"},"action":"create","elapsed_seconds":10},"type":"apply_progress"}"#,
            r#"{"@message":"Plan: 2 to add","changes":{"add":2,"change":0,"remove":0,"operation":"plan"},"type":"change_summary"}"#,
            r#"{"@message":"Apply complete!","changes":{"add":2,"change":0,"remove":0,"operation":"apply"},"type":"change_summary"}"#,
            r#"{"@message":"Outputs: 3","outputs":{"kubeconfig":{"sensitive":true,"value":"secret"}},"type":"outputs"}"#,
            r#"{"@message":"Error: x","diagnostic":{"severity":"error","summary":"Unable to find ansible-playbook","detail":"Install it."},"type":"diagnostic"}"#,
            r#"{"@message":"from the future","type":"ephemeral_op_start"}"#,
            "panic: runtime error",
            "",
        ];
        let read: Vec<_> = lines.iter().map(|line| format!("{:?}", read(line).unwrap())).collect();
        insta::assert_snapshot!(read.join("\n"));
    }

    #[test]
    fn another_major_version_is_refused_and_a_newer_minor_is_not() {
        let line = |ui: &str| format!(r#"{{"@message":"Terraform","type":"version","ui":"{ui}"}}"#);
        assert!(read(&line("1.9")).is_ok());
        for ui in ["2.0", "10.1", ""] {
            assert_eq!(read(&line(ui)), Err(OtherVersion(ui.to_owned())));
        }
    }
}
