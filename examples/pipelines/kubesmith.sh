#!/bin/sh
# What a pipeline does with a folder of Terraform, the same for every CI system:
#
#   kubesmith.sh plan FOLDER       saves the plan, and says what it does in FOLDER/plan.md
#   kubesmith.sh apply FOLDER      plans and applies exactly that plan
#   kubesmith.sh drift FOLDER      fails if what exists is not what is written
#   kubesmith.sh up NUMBER         makes the review cluster of a merge request
#   kubesmith.sh down NUMBER       takes it away, and checks that nothing of it is left
#
# Proxmox and the state are named by the environment: KUBESMITH_ENDPOINT, KUBESMITH_API_TOKEN, KUBESMITH_CA_FILE,
# KUBESMITH_OWNER, PG_CONN_STR.
set -eu
cd "$(dirname "$0")"
export TF_IN_AUTOMATION=1 TF_INPUT=0
# A saved plan holds what the state holds, kubeconfigs too: it stays on the runner, readable by its account alone.
umask 077

fail() {
    echo "kubesmith.sh: $*" >&2
    exit 1
}

# What a runner needs. A missing route to the machines, or too few rights, is said by the plan itself.
check() {
    for program in terraform ansible-playbook ssh python3; do
        # The provider may have been told of another ansible-playbook.
        [ "$program" = ansible-playbook ] && program=${KUBESMITH_ANSIBLE_PLAYBOOK:-$program}
        command -v "$program" >/dev/null || fail "$program is not installed on this runner"
    done
    for variable in KUBESMITH_ENDPOINT KUBESMITH_API_TOKEN KUBESMITH_OWNER PG_CONN_STR; do
        eval "[ -n \"\${$variable:-}\" ]" || fail "$variable is not set: add it to the variables of this project"
    done
}

terraform_in() {
    folder=$1
    shift
    terraform -chdir="$folder" "$@"
}

init() {
    check
    terraform_in "$1" init -no-color >/dev/null
}

plan() {
    init "$1"
    rm -f "$1/plan.tfplan"
    terraform_in "$1" plan -no-color -lock-timeout=10m -out=plan.tfplan
    terraform_in "$1" show -json plan.tfplan | python3 comment.py write "$1" >"$1/plan.md"
}

apply() {
    plan "$1"
    terraform_in "$1" apply -no-color -lock-timeout=10m plan.tfplan
    rm -f "$1/plan.tfplan"
}

drift() {
    init "$1"
    code=0
    terraform_in "$1" plan -no-color -lock-timeout=10m -detailed-exitcode || code=$?
    case $code in
    0) ;;
    2) fail "what exists is not what $1 says (above): apply it, or write down what changed" ;;
    *) exit "$code" ;;
    esac
}

# Each review cluster has an owner and a state of its own, so that none can touch another's machines.
review() {
    case $1 in
    '' | *[!0-9]*) fail "\"$1\" is not the number of a merge request" ;;
    esac
    export KUBESMITH_OWNER="review-$1" PG_SCHEMA_NAME="kubesmith_review_$1" TF_VAR_name="review-$1"
    export TF_DATA_DIR=".terraform-review-$1"
}

up() {
    review "$1"
    init review
    terraform_in review apply -no-color -lock-timeout=10m -auto-approve
}

down() {
    review "$1"
    init review
    terraform_in review destroy -no-color -lock-timeout=10m -auto-approve
    left=$(terraform_in review state list)
    [ -z "$left" ] || fail "the review cluster is not gone: $left"
}

[ $# -eq 2 ] || fail "expected a task and what it is for, as the first lines of this file explain"
case $1 in
plan | apply | drift | up | down) "$1" "$2" ;;
*) fail "there is no task \"$1\": plan, apply, drift, up or down" ;;
esac
