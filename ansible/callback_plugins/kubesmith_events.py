"""Progress of a run as JSON lines, for whoever started it.

Writes to the file or FIFO that KUBESMITH_ANSIBLE_EVENTS names, one write a line, and is silent without it.
With KUBESMITH_ANSIBLE_LIFELINE the run ends when its standard input does: whoever started it is gone, and nothing
may go on working on machines that the next run takes over. The variable names the folder of the run, with keys in it,
which goes too.

What a task hides with `no_log` arrives here already censored; nothing else of a result is passed on but its
message, return code and last lines.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kubesmith_events
type: notification
short_description: progress as JSON lines
description: Appends one JSON object a line for each thing that happens to the file named by KUBESMITH_ANSIBLE_EVENTS.
"""

LAST_LINES = 20


def end_with_starter(folder):
    """Waits until the starter's end of our standard input is closed, then ends the whole process group."""
    while os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


class CallbackModule(CallbackBase):
    """Translates callbacks into lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "kubesmith_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        path = os.environ.get("KUBESMITH_ANSIBLE_EVENTS")
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if path else None
        self.disabled = self.file is None
        self.play = ""
        lifeline = os.environ.get("KUBESMITH_ANSIBLE_LIFELINE")
        if lifeline:
            threading.Thread(target=end_with_starter, args=(lifeline,), daemon=True).start()

    def emit(self, event, task=None, host=None, **more):
        """Appends one line. A single write of an append-only file is never torn by another writer."""
        line = {"event": event, "time": round(time.time(), 3), "play": self.play, "task": task.get_name() if task else "",
                "host": host.get_name() if host else "", **more}
        os.write(self.file, (json.dumps(line) + "\n").encode())

    def emit_failure(self, event, result):
        """Says why, as far as the task allows it to be said."""
        data = result.result
        lines = (str(data.get("stderr") or "").strip() or str(data.get("stdout") or "")).splitlines()
        # Our scripts mark the reason; Ansible itself only knows that a return code was not zero.
        reason = "\n".join(line for line in lines if line.startswith(("REFUSED:", "FAILED:")))
        self.emit(event, result.task, result.host, msg=reason or str(data.get("msg") or data.get("censored") or ""), rc=data.get("rc"),
                  stderr="\n".join(lines[-LAST_LINES:]))

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name()

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.emit("task_start", task)

    def v2_playbook_on_handler_task_start(self, task):
        self.emit("task_start", task)

    def v2_runner_on_ok(self, result):
        self.emit("changed" if result.is_changed() else "ok", result.task, result.host)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if ignore_errors:
            self.emit("ok", result.task, result.host)
        else:
            self.emit_failure("failed", result)

    def v2_runner_on_skipped(self, result):
        self.emit("skipped", result.task, result.host)

    def v2_runner_on_unreachable(self, result):
        self.emit_failure("unreachable", result)

    def v2_playbook_on_stats(self, stats):
        self.emit("stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})
