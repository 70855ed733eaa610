"""What a plan does, for people who review it: `write FOLDER` turns Terraform's JSON into Markdown, `post` puts Markdown
under the merge request, in place of what was there before.

Python's own library is enough: a runner has Python because of Ansible. Values are shown only if neither Terraform nor the
provider calls them sensitive; the token comes from COMMENT_TOKEN and goes into a header, never into an argument.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request

VERBS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "**destroy**",
    ("delete", "create"): "**destroy and make again**",
    ("create", "delete"): "**make again and destroy**",
    ("forget",): "forget",
}


def write(folder):
    """Reads `terraform show -json PLAN` from standard input and prints Markdown."""
    plan = json.load(sys.stdin)
    rows, deletes = [], 0
    for change in plan.get("resource_changes", []):
        verb = VERBS.get(tuple(change["change"]["actions"]))
        if verb:
            deletes += "destroy" in verb
            rows.append((verb, change["address"], details(change["change"])))
    print(f"### Plan for `{folder}`\n")
    if not rows:
        print("No changes: what exists is what is written.")
        return
    print(f"{len(rows)} resource{'s' * (len(rows) != 1)} change{'s' * (len(rows) == 1)}; ", end="")
    print(f"**{deletes} destroyed.**\n" if deletes else "nothing is destroyed.\n")
    print("| | resource | what |\n|---|---|---|")
    for verb, address, what in rows:
        print(f"| {verb} | `{address}` | {what} |")


def details(change):
    """The attributes that a change sets, or changes from something known to something else."""
    before, after = change.get("before") or {}, change.get("after") or {}
    hidden = [change.get("before_sensitive"), change.get("after_sensitive")]
    parts = []
    for name in sorted(after):
        if before.get(name) == after[name] or after[name] is None:
            continue
        if any(marks is True or (isinstance(marks, dict) and marks.get(name)) for marks in hidden):
            parts.append(f"{name} (sensitive)")
        elif before:
            parts.append(f"{name}: {brief(before.get(name))} → {brief(after[name])}")
        elif name in ("name", "size", "workers", "control_plane", "kubernetes_version", "template"):
            parts.append(f"{name}: {brief(after[name])}")
    return ", ".join(parts)


def brief(value):
    """One line that cannot leave its cell of the table."""
    text = json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= 120 else text[:117] + "..."
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def post():
    """Puts standard input under the merge request that this pipeline runs for."""
    body = sys.stdin.read()
    place = where()
    # The heading tells whose comment it is: a second plan replaces the first one's.
    heading = body.splitlines()[0]
    for comment in request("GET", place["list"] + "?per_page=100"):
        if comment["body"].startswith(heading):
            return request(place["update"], f"{place['one']}/{comment['id']}", {"body": body})
    return request("POST", place["list"], {"body": body})


def where():
    """The addresses of this merge request's comments: GitLab's, or GitHub's, which Forgejo has as well."""
    env = os.environ
    if "CI_API_V4_URL" in env:
        project = f"{env['CI_API_V4_URL']}/projects/{env['CI_PROJECT_ID']}"
        notes = f"{project}/merge_requests/{env['CI_MERGE_REQUEST_IID']}/notes"
        return {"list": notes, "one": notes, "update": "PUT"}
    number = re.fullmatch(r"refs/pull/(\d+)/\w+", env.get("GITHUB_REF", ""))
    if not number:
        sys.exit("comment.py: this does not run for a merge request")
    issues = f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/issues"
    return {
        "list": f"{issues}/{number[1]}/comments",
        "one": f"{issues}/comments",
        "update": "PATCH",
    }


def request(method, url, data=None):
    """One call of the CI system's API; a refusal ends the pipeline with the system's own words."""
    token = os.environ.get("COMMENT_TOKEN") or sys.exit("comment.py: COMMENT_TOKEN is not set")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    call = urllib.request.Request(url, json.dumps(data).encode() if data else None, headers, method=method)
    try:
        with urllib.request.urlopen(call, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"comment.py: {method} {url}: {error.code} {error.read().decode(errors='replace')[:400]}")
    except urllib.error.URLError as error:
        sys.exit(f"comment.py: {method} {url}: {error.reason}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", folder]:
            write(folder)
        case ["post"]:
            post()
        case _:
            sys.exit("comment.py: write FOLDER, or post")
