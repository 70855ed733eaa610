//! Who may do what in a cluster of stand-ins: users of its authority, service accounts, and until when.

use super::machine::{Machine, err, free_port, good, has_real_kubectl};
use crate::world::command;

#[test]
fn rights_are_those_that_were_granted_and_certificates_can_be_counted_on() {
    let first = Machine::new("demo-cp-1", free_port());
    good(&first.init());
    let user = good(&first.run(&[
        "kubeadm",
        "kubeconfig",
        "user",
        "--client-name",
        "ada",
        "--org",
        "students",
        "--validity-period",
        "1h",
    ]));
    let file = first.file("ada.conf");
    std::fs::write(&file, user).expect("a file");
    let file = file.to_string_lossy();
    let refused = first.run(&["kubectl", "--kubeconfig", &file, "get", "nodes"]);
    assert_eq!(
        err(&refused).trim(),
        "Error from server (Forbidden): nodes is forbidden: User \"ada\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    let grant = first.file("grant.yaml");
    let group = "rbac.authorization.k8s.io";
    std::fs::write(&grant, format!(
        "apiVersion: {group}/v1\nkind: RoleBinding\nmetadata: {{name: students, namespace: default}}\n\
         roleRef: {{apiGroup: {group}, kind: ClusterRole, name: edit}}\nsubjects: [{{apiGroup: {group}, kind: Group, name: students}}]\n"
    )).expect("a file");
    good(&first.kubectl(false, &["apply", "-f", &grant.to_string_lossy()]));
    good(&first.run(&[
        "kubectl",
        "--kubeconfig",
        &file,
        "create",
        "configmap",
        "mine",
        "--from-literal=a=b",
    ]));
    assert!(
        !first
            .run(&["kubectl", "--kubeconfig", &file, "get", "configmaps", "-n", "kube-system"])
            .status
            .success()
    );

    let report = good(&first.run(&["kubeadm", "certs", "check-expiration", "-o", "json"]));
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let certificates = report["certificates"].as_array().expect("a list");
    assert_eq!(certificates.len(), 11);
    assert!(
        certificates
            .iter()
            .all(|one| one["missing"] == false && one["residualTime"].as_i64() > Some(364 * 86400)),
        "{report:#}"
    );
}

#[test]
fn a_service_accounts_token_is_good_in_its_namespace_until_the_account_is_gone() {
    if !has_real_kubectl() {
        return;
    }
    let first = Machine::new("demo-cp-1", free_port());
    good(&first.init());
    let kubectl = |arguments: &[&str]| good(&first.kubectl(false, arguments));
    let objects = first.file("objects.yaml");
    std::fs::write(&objects, concat!(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: blue}}\n",
        "- {apiVersion: v1, kind: ServiceAccount, metadata: {name: ada, namespace: blue}}\n",
        "- {apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: blue}, spec: {hard: {pods: '20', requests.cpu: '2'}}}\n",
        "- apiVersion: rbac.authorization.k8s.io/v1\n  kind: RoleBinding\n  metadata: {name: ada, namespace: blue}\n",
        "  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}\n",
        "  subjects: [{kind: ServiceAccount, name: ada, namespace: blue}]\n",
    )).expect("a file");
    kubectl(&["apply", "-f", &objects.to_string_lossy()]);
    let short =
        first.kubectl(false, &["create", "token", "ada", "-n", "blue", "--duration", "60s"]);
    assert!(
        err(&short).contains("may not specify a duration less than 10 minutes"),
        "{}",
        err(&short)
    );
    let token = kubectl(&[
        "create",
        "token",
        "-n",
        "blue",
        "--duration",
        "3600s",
        "-o",
        "json",
        "--",
        "ada",
    ]);
    let token: serde_json::Value = serde_json::from_str(&token).expect("JSON");
    let token = token["status"]["token"].as_str().expect("a token");

    let mut config = command("kubectl");
    let file = first.file("ada.conf");
    config.arg("--kubeconfig").arg(&file).args([
        "config",
        "set-credentials",
        "ada",
        "--token",
        token,
    ]);
    good(&config.output().expect("kubectl"));
    let ada = |arguments: &[&str]| {
        let mut kubectl = command("kubectl");
        kubectl.arg("--kubeconfig").arg(&file).args([
            "--user",
            "ada",
            "--insecure-skip-tls-verify",
            "--server",
        ]);
        kubectl
            .arg(format!("https://127.0.0.1:{}", first.port))
            .args(arguments)
            .output()
            .expect("kubectl")
    };
    assert_eq!(good(&ada(&["get", "namespace", "blue", "-o", "name"])), "namespace/blue\n");
    good(&ada(&["create", "configmap", "mine", "-n", "blue", "--from-literal=a=b"]));
    assert_eq!(
        good(&ada(&["get", "quota", "-n", "blue", "-o", "jsonpath={.items[0].status.used}"])),
        r#"{"pods":"0","requests.cpu":"0"}"#
    );
    for refused in [
        &["get", "namespaces"][..],
        &["get", "namespace", "default"],
        &["get", "pods", "-n", "default"],
        &["delete", "quota", "q", "-n", "blue"],
        &["get", "nodes"],
    ] {
        let output = ada(refused);
        assert!(
            !output.status.success() && err(&output).contains("is forbidden"),
            "{refused:?}: {}",
            err(&output)
        );
    }
    kubectl(&[
        "delete",
        "serviceaccount,rolebinding",
        "-n",
        "blue",
        "--ignore-not-found",
        "--",
        "ada",
    ]);
    let over = ada(&["get", "configmaps", "-n", "blue"]);
    assert!(
        err(&over).contains("You must be logged in") || err(&over).contains("Unauthorized"),
        "{}",
        err(&over)
    );
}
