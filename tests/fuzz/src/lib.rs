//! The parsers of the provider, which is a program and no library: the files themselves are used.

/// What stands in the ledger.
#[expect(dead_code, reason = "what only its writing needs")]
#[path = "../../../provider/src/ledger"]
mod ledger {
    pub(crate) mod fields;
    pub(crate) mod hostile;
    pub(crate) mod pool;
    pub(crate) mod row;
    pub(crate) mod rows;
}

/// Where a lease fits.
#[path = "../../../provider/src/ip_lease"]
mod ip_lease {
    pub(crate) mod allocate;
}

/// What a playbook tells.
#[path = "../../../provider/src/ansible/line.rs"]
mod line;

/// A line of either stream of events.
pub fn events(bytes: &[u8]) {
    kubesmith_spec::hostile::event(bytes);
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(line) = line::Line::parse(text) {
        let _ = (line.status(), line.step(), line.failure());
    }
}

/// A text of the ledger, or a description in the terms of the spec.
pub fn addresses(bytes: &[u8]) {
    kubesmith_spec::hostile::addresses(bytes);
    ledger::hostile::texts(bytes);
}
