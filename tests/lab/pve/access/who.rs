//! Who asks, and how they prove it: users, groups, tokens and tickets.

use std::collections::{BTreeMap, BTreeSet};

use super::Access;
use crate::pve::api::Refusal;

/// Who asks: `user@realm`, with the token's name if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) user: String,
    pub(crate) token: Option<String>,
}

impl Principal {
    /// As it stands in UPIDs and ACLs.
    pub(crate) fn id(&self) -> String {
        self.token
            .as_ref()
            .map_or_else(|| self.user.clone(), |token| format!("{}!{token}", self.user))
    }

    /// Reads `user@realm!token` or `user@realm`.
    pub(crate) fn parse(id: &str) -> Self {
        match id.split_once('!') {
            Some((user, token)) => Self { user: user.to_owned(), token: Some(token.to_owned()) },
            None => Self { user: id.to_owned(), token: None },
        }
    }

    /// No token is ever root: some options are for the user root@pam itself.
    pub(crate) fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }
}

/// A user.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    /// Names, addresses, the comment.
    pub(crate) details: BTreeMap<String, String>,
    pub(crate) disabled: bool,
    /// Seconds since 1970; 0 means never.
    pub(crate) expire: u64,
    pub(crate) password: Option<String>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

impl User {
    /// Whether it may log in.
    pub(crate) fn is_active(&self, now: u64) -> bool {
        !self.disabled && !has_expired(self.expire, now)
    }
}

fn has_expired(expire: u64, now: u64) -> bool {
    expire != 0 && expire <= now
}

/// Users who share rights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) comment: Option<String>,
    pub(crate) members: BTreeSet<String>,
}

/// What somebody got who logged in with a password.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) user: String,
    /// Must come with everything but GET.
    pub(crate) csrf: String,
    pub(crate) issued: u64,
}

impl Ticket {
    /// Tickets hold for two hours.
    pub(crate) fn holds(&self, now: u64) -> bool {
        now < self.issued + 7200
    }
}

/// An API token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) separated: bool,
    pub(crate) comment: Option<String>,
    pub(crate) expire: u64,
}

impl Access {
    /// Checks a token. Every failure looks the same, as it does since 8.4.17 and 9.1.5.
    pub(crate) fn by_token(&self, value: &str, now: u64) -> Option<Principal> {
        let value = value.split(';').next().unwrap_or_default();
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        let (id, secret) = value.split_once('=')?;
        let who = Principal::parse(id);
        let user = self.users.get(&who.user)?;
        let token = user.tokens.get(who.token.as_ref()?)?;
        let holds = token.secret == secret && !has_expired(token.expire, now);
        (holds && user.is_active(now)).then_some(who)
    }

    /// Checks a ticket, and the token against forged requests that everything but GET must carry.
    pub(crate) fn by_ticket(
        &self,
        ticket: &str,
        csrf: Option<&str>,
        is_get: bool,
        now: u64,
    ) -> Result<Principal, Refusal> {
        let failed = || Refusal::unauthenticated("Authentication failed!");
        let ticket = percent_encoding::percent_decode_str(ticket).decode_utf8_lossy().into_owned();
        let ticket =
            self.tickets.get(&ticket).filter(|ticket| ticket.holds(now)).ok_or_else(failed)?;
        self.users.get(&ticket.user).filter(|user| user.is_active(now)).ok_or_else(failed)?;
        if !is_get && csrf != Some(ticket.csrf.as_str()) {
            return Err(Refusal::unauthenticated("Permission denied - invalid csrf token"));
        }
        Ok(Principal { user: ticket.user.clone(), token: None })
    }
}
