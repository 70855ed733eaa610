//! Tasks: work that an answer only begins, with its UPID, log and final status.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::access::Principal;
use super::api::{Answer, Call, Refusal, Reply, done};
use super::world::{World, unix_time};

/// Every task since the start.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    entries: Mutex<Vec<Entry>>,
    last: AtomicU32,
}

#[derive(Debug)]
struct Entry {
    upid: String,
    node: String,
    pid: u32,
    process_start: u32,
    start: u64,
    kind: &'static str,
    id: String,
    who: Principal,
    end: Option<(u64, String)>,
    log: Vec<String>,
    cancel: CancellationToken,
}

/// What the body of a task holds.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) world: Arc<World>,
    upid: String,
    cancel: CancellationToken,
}

impl Task {
    /// Appends a line to the log.
    pub(crate) fn log(&self, line: impl Into<String>) {
        if let Some(entry) =
            self.world.tasks.entries().iter_mut().find(|entry| entry.upid == self.upid)
        {
            entry.log.push(line.into());
        }
    }

    /// Time that real work would take. Somebody may stop the task meanwhile.
    pub(crate) async fn work(&self, time: Duration) -> Result<(), String> {
        self.unless_stopped(tokio::time::sleep(time)).await
    }

    /// Waits for something, unless somebody stops the task.
    pub(crate) async fn unless_stopped<T>(
        &self,
        wait: impl Future<Output = T>,
    ) -> Result<T, String> {
        tokio::select! {
            done = wait => Ok(done),
            () = self.cancel.cancelled() => Err("interrupted by signal".to_owned()),
        }
    }
}

impl Tasks {
    /// Stops the running tasks of a type that a machine has.
    pub(crate) fn stop_all(&self, kind: &str, vmid: u32) {
        let id = vmid.to_string();
        let entries = self.entries();
        let running = entries
            .iter()
            .filter(|entry| entry.end.is_none() && entry.kind == kind && entry.id == id);
        running.for_each(|entry| entry.cancel.cancel());
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Starts a task on the URL's node and answers with its UPID.
    pub(crate) fn fork<Body, Work>(&self, kind: &'static str, id: u32, body: Body) -> Answer
    where
        Body: FnOnce(Task) -> Work,
        Work: Future<Output = Result<(), String>> + Send + 'static,
    {
        let pid = self.world.tasks.last.fetch_add(1, Ordering::Relaxed) + 1000;
        let process_start = u32::try_from(self.world.uptime().as_millis() / 10).unwrap_or(u32::MAX);
        let start = unix_time();
        let (node, id, who) = (self.node().to_owned(), id.to_string(), self.who.clone());
        let upid = format!(
            "UPID:{node}:{pid:08X}:{process_start:08X}:{start:08X}:{kind}:{id}:{}:",
            who.id()
        );
        let cancel = CancellationToken::new();
        let task =
            Task { world: Arc::clone(&self.world), upid: upid.clone(), cancel: cancel.clone() };
        let (end, log) = (None, Vec::new());
        self.world.tasks.entries().push(Entry {
            upid: upid.clone(),
            node,
            pid,
            process_start,
            start,
            kind,
            id,
            who,
            end,
            log,
            cancel,
        });
        let delay = self.world.faults.slow_task(kind);
        let work = body(task.clone());
        tokio::spawn(async move {
            let result = match task.work(delay).await {
                Ok(()) => work.await,
                Err(interrupted) => Err(interrupted),
            };
            let status =
                result.err().map_or_else(|| "OK".to_owned(), |error| error.replace('\n', " "));
            task.log(if status == "OK" {
                "TASK OK".to_owned()
            } else {
                format!("TASK ERROR: {status}")
            });
            if let Some(entry) =
                task.world.tasks.entries().iter_mut().find(|entry| entry.upid == task.upid)
            {
                entry.end = Some((unix_time(), status));
            }
        });
        Ok(Value::from(upid).into())
    }

    /// Finds the task of the URL; its starter sees it, others need Sys.Audit on the node.
    fn with_task<T>(&self, privilege: &str, look: impl FnOnce(&Entry) -> T) -> Result<T, Refusal> {
        let upid = self.params.text("upid");
        if !is_upid(upid) {
            return Err(Refusal::parameter("upid", "unable to parse worker upid"));
        }
        let entries = self.world.tasks.entries();
        let entry = entries.iter().find(|entry| entry.upid == upid && entry.node == self.node());
        let entry = entry.ok_or_else(|| Refusal::parameter("upid", "no such task"))?;
        let is_owner =
            entry.who == self.who || self.who.token.is_none() && entry.who.user == self.who.user;
        if !is_owner {
            self.state().require(&self.who, &format!("/nodes/{}", self.node()), privilege)?;
        }
        Ok(look(entry))
    }
}

fn is_upid(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let hex = |text: &str, lengths: &[usize]| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match parts.as_slice() {
        ["UPID", node, pid, process_start, start, kind, _, user, ""] => {
            let hexadecimal = hex(pid, &[8]) && hex(process_start, &[8, 9]) && hex(start, &[8]);
            hexadecimal && !node.is_empty() && !kind.is_empty() && !user.is_empty()
        }
        _ => false,
    }
}

impl Entry {
    fn row(&self) -> Value {
        let mut row = json!({
            "upid": self.upid, "node": self.node, "pid": self.pid, "pstart": self.process_start,
            "starttime": self.start, "type": self.kind, "id": self.id, "user": self.who.user,
        });
        if let Some(token) = &self.who.token {
            row["tokenid"] = token.as_str().into();
        }
        row
    }
}

/// `GET /nodes/{node}/tasks`: finished ones unless `source` says otherwise, newest first.
pub(crate) fn list(call: &Call) -> Answer {
    let params = &call.params;
    let sees_all = call.state().may(&call.who, &format!("/nodes/{}", call.node()), "Sys.Audit");
    let source = params.get("source").unwrap_or("archive");
    let entries = call.world.tasks.entries();
    let wanted = |entry: &&Entry| {
        let by_source = match source {
            "archive" => entry.end.is_some(),
            "active" => entry.end.is_none(),
            _ => true,
        };
        let by_errors =
            !params.flag("errors") || entry.end.as_ref().is_some_and(|(_, status)| status != "OK");
        entry.node == call.node()
            && (sees_all || entry.who == call.who)
            && by_source
            && by_errors
            && params.get("typefilter").is_none_or(|kind| entry.kind == kind)
            && params.get("vmid").is_none_or(|vmid| entry.id == vmid)
            && params.get("userfilter").is_none_or(|user| entry.who.id().contains(user))
            && params
                .get("since")
                .is_none_or(|since| since.parse().is_ok_and(|since| entry.start >= since))
    };
    let matching: Vec<_> = entries.iter().rev().filter(wanted).collect();
    let limit = params.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50);
    let rows = matching.iter().skip(params.number("start")).take(limit).map(|entry| {
        let mut row = entry.row();
        if let Some((end, status)) = &entry.end {
            row["endtime"] = (*end).into();
            row["status"] = status.as_str().into();
        }
        row
    });
    Ok(Reply { data: rows.collect(), total: Some(matching.len()) })
}

/// `GET /cluster/tasks`: recent ones of all nodes.
pub(crate) fn cluster_list(call: &Call) -> Answer {
    let entries = call.world.tasks.entries();
    let rows = entries.iter().rev().filter(|entry| entry.who == call.who).take(25).map(|entry| {
        let mut row = entry.row();
        if let Some((end, status)) = &entry.end {
            row["endtime"] = (*end).into();
            row["status"] = status.as_str().into();
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `GET /nodes/{node}/tasks/{upid}/status`.
pub(crate) fn status(call: &Call) -> Answer {
    call.with_task("Sys.Audit", |entry| {
        let mut row = entry.row();
        match &entry.end {
            None => row["status"] = "running".into(),
            Some((_, status)) => {
                row["status"] = "stopped".into();
                row["exitstatus"] = status.as_str().into();
            }
        }
        row.into()
    })
}

/// `GET /nodes/{node}/tasks/{upid}/log`.
pub(crate) fn log(call: &Call) -> Answer {
    let start: usize = call.params.number("start");
    let limit = match call.params.get("limit").and_then(|limit| limit.parse().ok()) {
        Some(0) => usize::MAX,
        limit => limit.unwrap_or(50),
    };
    call.with_task("Sys.Audit", |entry| {
        let lines = entry.log.iter().enumerate().skip(start).take(limit);
        let data = lines.map(|(at, line)| json!({"n": at + 1, "t": line})).collect();
        Reply { data, total: Some(entry.log.len()) }
    })
}

/// `DELETE /nodes/{node}/tasks/{upid}`: tells the work to stop; it cleans up after itself.
pub(crate) fn stop(call: &Call) -> Answer {
    call.with_task("Sys.Modify", |entry| entry.cancel.cancel())?;
    done()
}

#[cfg(test)]
mod tests {
    #[test]
    fn upids_are_told_from_garbage() {
        assert!(super::is_upid("UPID:pve:00000330:0003BE25:6B02D58D:qmclone:9000:root@pam!tf:"));
        assert!(super::is_upid("UPID:pve:00000330:0003BE25:6B02D58D:imgcopy::root@pam!tf:"));
        assert!(!super::is_upid("UPID:pve:0000:bad"));
    }
}
