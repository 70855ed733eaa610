"""Asks a Service over HTTPS from this node until it answers: Service, kube-proxy, endpoint, HTTP, in one look.

The address, the port and the seconds are the arguments. Whatever API server answers, its certificate must be the cluster's.
"""

import socket
import ssl
import subprocess
import sys
import time

address, port, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


def ask():
    """The status code of `GET /readyz`."""
    context = ssl.create_default_context(cafile="/etc/kubernetes/pki/ca.crt")
    # Older authorities lack what newer Pythons insist on; the chain itself is checked all the same.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    with socket.create_connection((address, port), timeout=3) as plain:
        with context.wrap_socket(plain, server_hostname="kubernetes") as secure:
            secure.sendall(b"GET /readyz HTTP/1.0\r\nHost: kubernetes\r\n\r\n")
            words = secure.recv(512).split(b" ", 2)
    if len(words) < 3 or not words[0].startswith(b"HTTP/"):
        raise OSError("no HTTP answer")
    return int(words[1])


def endpoints():
    """What the control plane knows of the Service's endpoints, for the message; nothing on a worker."""
    command = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "--request-timeout=5s", "--namespace", "kube-system",
               "get", "endpoints", "kubesmith-probe", "--output", "jsonpath={.subsets[*].addresses[*].ip}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    if answer.stdout.strip():
        return f"; its endpoints are {answer.stdout.strip()}, so look at kube-proxy on this node"
    return "; it has no endpoints, so look at kube-controller-manager, which keeps them"


deadline = time.monotonic() + timeout
while True:
    try:
        status = ask()
        # Whether anonymous requests are let in is the cluster's affair; that somebody says so over HTTP is what counts.
        if status < 500:
            print(f"answered {status}")
            sys.exit()
        seen = f"HTTP status {status}"
    except (OSError, ValueError) as error:
        seen = str(error)
    if time.monotonic() >= deadline:
        sys.exit(f"FAILED: the Service kubesmith-probe does not answer at {address}:{port} on this node within {timeout:.0f} s: "
                 f"{seen}{endpoints()}")
    time.sleep(0.5)
