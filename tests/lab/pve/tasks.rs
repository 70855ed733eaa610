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
    warnings: u32,
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

    /// Appends a warning to the log; a task that succeeds with some says how many.
    pub(crate) fn warn(&self, line: impl Into<String>) {
        self.log(format!("WARN: {}", line.into()));
        let mut entries = self.world.tasks.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.upid == self.upid) {
            entry.warnings += 1;
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
            () = self.cancel.cancelled() => Err("received interrupt".to_owned()),
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

    /// What a reset of the node does: the workers of running tasks are gone, and nobody wrote down how they ended.
    pub(crate) fn lose(&self, kind: Option<&str>) {
        let mut entries = self.entries();
        let running = entries.iter_mut().filter(|entry| entry.end.is_none());
        for entry in running.filter(|entry| kind.is_none_or(|kind| entry.kind == kind)) {
            entry.end = Some((unix_time(), "unexpected status".to_owned()));
            entry.cancel.cancel();
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a task on a node; the answer is its UPID.
pub(crate) fn fork<Body, Work>(
    world: &Arc<World>,
    node: &str,
    who: Principal,
    kind: &'static str,
    id: u32,
    body: Body,
) -> String
where
    Body: FnOnce(Task) -> Work,
    Work: Future<Output = Result<(), String>> + Send + 'static,
{
    let pid = world.tasks.last.fetch_add(1, Ordering::Relaxed) + 1000;
    let process_start = u32::try_from(world.uptime().as_millis() / 10).unwrap_or(u32::MAX);
    let start = unix_time();
    let (node, id) = (node.to_owned(), id.to_string());
    let upid =
        format!("UPID:{node}:{pid:08X}:{process_start:08X}:{start:08X}:{kind}:{id}:{}:", who.id());
    let cancel = CancellationToken::new();
    let task = Task { world: Arc::clone(world), upid: upid.clone(), cancel: cancel.clone() };
    let (end, log, warnings) = (None, Vec::new(), 0);
    world.tasks.entries().push(Entry {
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
        warnings,
        cancel,
    });
    let delay = world.faults.slow_task(kind);
    let work = body(task.clone());
    tokio::spawn(async move {
        let result = match task.work(delay).await {
            Ok(()) => work.await,
            Err(interrupted) => Err(interrupted),
        };
        task.finish(result);
    });
    upid
}

impl Task {
    fn finish(&self, result: Result<(), String>) {
        let mut entries = self.world.tasks.entries();
        let Some(entry) = entries.iter_mut().find(|entry| entry.upid == self.upid) else { return };
        // A task that was lost stays lost.
        if entry.end.is_some() {
            return;
        }
        let status = match result {
            Ok(()) if entry.warnings == 0 => "OK".to_owned(),
            Ok(()) => format!("WARNINGS: {}", entry.warnings),
            Err(error) => error.trim_end().replace('\n', " "),
        };
        let is_error = status != "OK" && !status.starts_with("WARNINGS: ");
        entry.log.push(format!("TASK {}{status}", if is_error { "ERROR: " } else { "" }));
        entry.end = Some((unix_time(), status));
    }
}

impl Call {
    /// Starts a task on the URL's node and answers with its UPID.
    pub(crate) fn fork<Body, Work>(&self, kind: &'static str, id: u32, body: Body) -> Answer
    where
        Body: FnOnce(Task) -> Work,
        Work: Future<Output = Result<(), String>> + Send + 'static,
    {
        let upid = fork(&self.world, self.node(), self.who.clone(), kind, id, body);
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
        let class = entry.end.as_ref().map(|(_, status)| class_of(status));
        let wanted = params.list("statusfilter");
        let by_status = wanted.is_empty()
            || class.is_some_and(|class| wanted.iter().any(|it| it.eq_ignore_ascii_case(class)));
        let time = |name: &str| params.get(name).and_then(|time| time.parse::<u64>().ok());
        entry.node == call.node()
            && (sees_all || entry.who == call.who)
            && by_source
            && by_errors
            && params.get("typefilter").is_none_or(|kind| entry.kind == kind)
            && params.get("vmid").is_none_or(|vmid| entry.id == vmid)
            && params.get("userfilter").is_none_or(|user| entry.who.id().contains(user))
            && by_status
            && time("since").is_none_or(|since| entry.start >= since)
            && time("until").is_none_or(|until| entry.start <= until)
    };
    let matching: Vec<_> = entries.iter().rev().filter(wanted).collect();
    let limit = params.get("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(50);
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

/// Into which of the four classes a final status falls.
fn class_of(status: &str) -> &'static str {
    match status {
        "OK" => "ok",
        "unexpected status" => "unknown",
        _ if status.starts_with("WARNINGS: ") => "warning",
        _ => "error",
    }
}

/// `GET /cluster/log`: what happened, newest first.
pub(crate) fn cluster_log(call: &Call) -> Answer {
    let sees_all = call.state().may(&call.who, "/", "Sys.Syslog");
    let most = call.params.get("max").and_then(|most| most.parse().ok()).unwrap_or(50);
    let entries = call.world.tasks.entries();
    let visible = entries.iter().rev().filter(|entry| sees_all || entry.who == call.who);
    let rows = visible.take(most).enumerate().map(|(at, entry)| {
        let (time, text) = match &entry.end {
            Some((end, status)) => (*end, format!("end task {} {status}", entry.upid)),
            None => (entry.start, format!("starting task {}", entry.upid)),
        };
        json!({
            "uid": at + 1, "id": (at + 1).to_string(), "node": entry.node, "user": entry.who.id(),
            "tag": "pvedaemon", "pid": entry.pid, "pri": 6, "time": time, "msg": text,
        })
    });
    Ok(rows.collect::<Value>().into())
}

/// `GET /cluster/tasks`: recent ones of all nodes.
pub(crate) fn cluster_list(call: &Call) -> Answer {
    let sees_all = call.state().may(&call.who, "/", "Sys.Audit");
    let entries = call.world.tasks.entries();
    let visible = entries.iter().rev().filter(|entry| sees_all || entry.who == call.who);
    let rows = visible.take(25).map(|entry| {
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
