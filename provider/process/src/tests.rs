//! Real small programs.

use std::time::Duration;

use rustix::process::{Pid, test_kill_process_group};
use tokio_util::sync::CancellationToken;

use super::*;

fn sh(script: &str) -> Tool {
    Tool::new("sh").args(["-c", script])
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

/// Runs until the child says its process group, then does `then`.
async fn group_of(
    tool: &Tool,
    cancel: &CancellationToken,
    mut then: impl FnMut(),
) -> (Pid, Result<Finished, Error>) {
    let mut group = None;
    let result = tool
        .run(cancel, |line| {
            if let Line::Stdout(text) = line
                && let Some(id) = text.strip_prefix("group ")
            {
                group = Pid::from_raw(id.parse().unwrap());
                then();
            }
        })
        .await;
    (group.expect("the child says its group"), result)
}

async fn is_gone(group: Pid) {
    // Orphans are reaped by init, in its own time.
    for _ in 0..500 {
        if test_kill_process_group(group).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the process group is still there");
}

#[tokio::test]
async fn lines_come_from_both_streams_and_an_unfinished_one_too() {
    let mut seen = Vec::new();
    let tool = sh("echo one; echo two >&2; printf three");
    tool.run(&never(), |line| seen.push(format!("{line:?}"))).await.unwrap();
    seen.sort();
    assert_eq!(seen, [r#"Stderr("two")"#, r#"Stdout("one")"#, r#"Stdout("three")"#]);
}

#[tokio::test]
async fn a_failure_shows_its_code_and_the_last_lines() {
    let error = sh("seq 1 100; exit 3").output(&never()).await.unwrap_err();
    assert_eq!(error.to_string(), "`sh` failed with exit code 3:\n96\n97\n98\n99\n100");
    let Error::Failed { status, tail, .. } = error else { panic!("{error}") };
    assert_eq!((status.code(), tail.len()), (Some(3), 40));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = Tool::new("kubesmith-no-such-program").output(&never()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`kubesmith-no-such-program` is not installed or not on the PATH"
    );
    let error = sh("true").current_dir("/no/such/dir").output(&never()).await.unwrap_err();
    assert!(error.to_string().starts_with("`sh` could not be started: "), "{error}");
}

#[tokio::test]
async fn secrets_reach_the_child_and_nobody_else() {
    let tool = sh("echo got $TOKEN; echo $TOKEN >&2; exit 1")
        .secret_env("TOKEN", "hunter2-hunter2")
        .arg("hidden-arg");
    assert_eq!(format!("{tool:?}"), "Tool(sh, 3 arguments)");
    let mut lines = Vec::new();
    let error = tool.run(&never(), |line| lines.push(format!("{line:?}"))).await.unwrap_err();
    assert!(lines[0].contains("<redacted>"), "{lines:?}");
    assert!(!format!("{lines:?}{error}{error:?}").contains("hunter2"));

    let kept = sh("env").only_env(&["PATH"]).env("A", "1").output(&never()).await.unwrap().stdout;
    assert!(kept.contains("A=1\n") && kept.contains("PATH=") && !kept.contains("CARGO"), "{kept}");
}

#[tokio::test]
async fn cancelling_interrupts_the_whole_group() {
    let cancel = never();
    let tool = sh("trap 'echo tidy; exit 0' INT; echo group $$; sleep 600 & wait");
    let (group, result) = group_of(&tool, &cancel, || cancel.cancel()).await;
    assert_eq!(result.unwrap_err().to_string(), "`sh` was cancelled");
    is_gone(group).await;
}

#[tokio::test]
async fn who_ignores_the_signals_is_killed() {
    let cancel = never();
    let tool = sh("trap '' INT TERM; echo group $$; while :; do sleep 1; done")
        .grace(Duration::from_millis(50));
    let (group, result) = group_of(&tool, &cancel, || cancel.cancel()).await;
    assert!(matches!(result, Err(Error::Cancelled { .. })), "{result:?}");
    is_gone(group).await;
}

#[tokio::test]
async fn what_takes_too_long_is_stopped_and_says_how_far_it_came() {
    let tool = sh("echo waiting for nothing; exec sleep 600").timeout(Duration::from_millis(300));
    let error = tool.output(&never()).await.unwrap_err();
    assert_eq!(error.to_string(), "`sh` was stopped after 0 s:\nwaiting for nothing");
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_behind() {
    let (group, told) = tokio::sync::oneshot::channel();
    let mut group = Some(group);
    let tool = sh("echo group $$; sleep 600 & sleep 600");
    let cancel = never();
    let run = tool.run(&cancel, |line| {
        if let (Line::Stdout(text), Some(group)) = (line, group.take()) {
            group.send(Pid::from_raw(text["group ".len()..].parse().unwrap()).unwrap()).unwrap();
        }
    });
    // Whichever is ready first drops the other.
    let group = tokio::select! {
        _ = run => panic!("it sleeps for ten minutes"),
        group = told => group.unwrap(),
    };
    is_gone(group).await;
}

#[tokio::test]
async fn a_background_process_ends_with_its_parent() {
    let (group, result) = group_of(&sh("echo group $$; sleep 600 & exit 0"), &never(), || {}).await;
    result.unwrap();
    is_gone(group).await;
}

#[tokio::test]
async fn a_lifeline_stays_open_as_long_as_the_call() {
    // `cat` ends when its input does; here it must not, so the time limit ends it.
    let error = Tool::new("cat")
        .stdin_lifeline()
        .timeout(Duration::from_millis(200))
        .output(&never())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    Tool::new("cat").stdin_null().output(&never()).await.unwrap();
}

#[tokio::test]
async fn a_supervised_child_writes_files_and_is_found_by_its_mark() {
    let dir = std::env::temp_dir();
    let mark = format!("of-test-{}", std::process::id());
    let path = dir.join(format!("kubesmith-process-{mark}"));
    let file = || std::fs::File::options().create(true).append(true).open(&path).unwrap();
    let tool = sh("trap 'echo told; exit 3' INT; echo begun; while :; do sleep 0.05; done")
        .env("KUBESMITH_TEST_MARK", &mark);
    let mut child = tool.start(file(), file()).unwrap();
    let said = || std::fs::read_to_string(&path).unwrap();
    while !said().contains("begun") {
        tokio::task::yield_now().await;
    }
    let found: Vec<_> = marked("KUBESMITH_TEST_MARK").unwrap();
    let of_ours: Vec<_> = found.iter().filter(|process| process.value == mark).collect();
    assert!(!of_ours.is_empty(), "the shell, and perhaps its sleep");

    child.interrupt();
    assert_eq!(child.ended().await.unwrap().code(), Some(3));
    for process in of_ours {
        process.ended().await;
    }
    assert_eq!(said(), "begun\ntold\n");
    assert!(!marked("KUBESMITH_TEST_MARK").unwrap().iter().any(|process| process.value == mark));
    std::fs::remove_file(&path).unwrap();
}
