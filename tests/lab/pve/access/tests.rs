//! Rights as they are worked out from grants, groups, pools and tokens.

use super::*;

/// A user `u@pve` with a separated token `t1` and a full one `t2`.
fn world(grants: &[(&str, &str, &str, bool)]) -> State {
    let mut state = State::default();
    let token = |separated| Token { secret: "s".into(), separated, ..Token::default() };
    let tokens = BTreeMap::from([("t1".to_owned(), token(true)), ("t2".to_owned(), token(false))]);
    state.access.users.insert("u@pve".to_owned(), User { tokens, ..User::default() });
    state.access.roles.insert("Audit".to_owned(), BTreeSet::from(["VM.Audit".to_owned()]));
    state.access.roles.insert("Clone".to_owned(), BTreeSet::from(["VM.Clone".to_owned()]));
    for (path, to, role, propagates) in grants {
        let grant = Grant { path: (*path).into(), to: (*to).into(), role: (*role).into() };
        state.access.grants.insert(grant, *propagates);
    }
    state.pools.insert(
        "p".to_owned(),
        super::super::state::Pool { vms: [100].into(), ..Default::default() },
    );
    state
}

#[test]
fn a_grant_holds_below_its_path_unless_it_does_not_propagate_or_a_nearer_one_replaces_it() {
    let user = Principal::parse("u@pve");
    let state = world(&[("/vms", "u@pve", "Audit", true)]);
    assert!(state.may(&user, "/vms/7", "VM.Audit"));
    let state = world(&[("/vms", "u@pve", "Audit", false)]);
    assert!(!state.may(&user, "/vms/7", "VM.Audit"));
    let state = world(&[("/vms", "u@pve", "Audit", true), ("/vms/7", "u@pve", "Clone", true)]);
    assert!(!state.may(&user, "/vms/7", "VM.Audit"));
    assert!(state.may(&user, "/vms/8", "VM.Audit"));
    let state = world(&[("/", "u@pve", "Audit", true), ("/vms/7", "u@pve", "NoAccess", true)]);
    assert!(!state.may(&user, "/vms/7", "VM.Audit"));
}

#[test]
fn a_separated_token_has_only_what_both_it_and_its_user_have() {
    let (separated, full) = (Principal::parse("u@pve!t1"), Principal::parse("u@pve!t2"));
    let state = world(&[("/vms/7", "u@pve", "Audit", true), ("/vms/7", "u@pve!t1", "Clone", true)]);
    assert!(!state.may(&separated, "/vms/7", "VM.Audit"));
    assert!(!state.may(&separated, "/vms/7", "VM.Clone"));
    assert!(state.may(&full, "/vms/7", "VM.Audit"));
    let state = world(&[("/vms/7", "u@pve", "Audit", true), ("/vms/7", "u@pve!t1", "Audit", true)]);
    assert!(state.may(&separated, "/vms/7", "VM.Audit"));
}

#[test]
fn members_of_a_pool_inherit_its_rights_without_propagation() {
    let user = Principal::parse("u@pve");
    let state = world(&[("/pool/p", "u@pve", "Audit", true)]);
    assert_eq!(
        state.privileges(&user, "/vms/100"),
        Privileges::from([("VM.Audit".to_owned(), false)])
    );
    assert!(!state.may(&user, "/vms/101", "VM.Audit"));
}

#[test]
fn a_group_gives_what_is_not_granted_to_its_member_itself() {
    let user = Principal::parse("u@pve");
    let mut state = world(&[("/vms", "@g", "Clone", true), ("/vms/7", "u@pve", "Audit", true)]);
    assert!(!state.may(&user, "/vms/8", "VM.Clone"));
    let members = BTreeSet::from(["u@pve".to_owned()]);
    state.access.groups.insert("g".to_owned(), Group { members, ..Group::default() });
    assert!(state.may(&user, "/vms/8", "VM.Clone"));
    assert!(!state.may(&user, "/vms/7", "VM.Clone"));
}

#[test]
fn every_failure_of_a_token_looks_the_same() {
    let access = world(&[]).access;
    let by_token = |value: &str| access.by_token(value, 0).map(|who| who.id());
    assert_eq!(by_token("u@pve!t1=s").as_deref(), Some("u@pve!t1"));
    assert_eq!(by_token("u%40pve!t1=s;more").as_deref(), Some("u@pve!t1"));
    for bad in ["u@pve!t1=x", "u@pve!none=s", "x@pve!t1=s", "garbage"] {
        assert_eq!(by_token(bad), None, "{bad}");
    }
}
