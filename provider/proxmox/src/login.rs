//! How a client proves who it is: an API token, or the ticket that a person's login gives.

use std::fmt;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::client::{Client, Options, post};
use crate::error::{Class, Error, Refusal};
use crate::token::ApiToken;
use crate::wire;

/// Who a client is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An API token, for programs.
    Token(ApiToken),
    /// A person's login. It lasts two hours.
    Ticket(Ticket),
    /// Nobody yet: the login itself is asked for like this.
    Nobody,
}

/// What a login gave.
#[derive(Clone)]
pub struct Ticket {
    ticket: Zeroizing<String>,
    csrf: Zeroizing<String>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Ticket(<redacted>)")
    }
}

impl From<ApiToken> for Credentials {
    fn from(token: ApiToken) -> Self {
        Self::Token(token)
    }
}

impl Credentials {
    /// What every request carries.
    pub(crate) fn headers(&self) -> HeaderMap {
        match self {
            Self::Token(token) => HeaderMap::from_iter([(AUTHORIZATION, token.header())]),
            Self::Ticket(Ticket { ticket, csrf }) => {
                let cookie = Zeroizing::new(format!("PVEAuthCookie={}", wire::encode(ticket)));
                let csrf_header = HeaderName::from_static("csrfpreventiontoken");
                HeaderMap::from_iter([(COOKIE, secret(&cookie)), (csrf_header, secret(csrf))])
            }
            Self::Nobody => HeaderMap::new(),
        }
    }
}

fn secret(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("checked to be printable when it came");
    value.set_sensitive(true);
    value
}

#[derive(Deserialize)]
struct LoggedIn {
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default, rename = "CSRFPreventionToken")]
    csrf: Option<String>,
    #[serde(default, rename = "NeedTFA", deserialize_with = "wire::flag")]
    second_factor: Option<bool>,
}

impl Client {
    /// Logs a person in (`root@pam`), and returns a client that acts for them. `options` say where; who they name does not count.
    pub async fn log_in(mut options: Options, user: &str, password: &str) -> Result<Self, Error> {
        options.credentials = Credentials::Nobody;
        let request = post(&["access", "ticket"]).with("username", user).with("password", password);
        let LoggedIn { ticket, csrf, second_factor } =
            Self::new(options.clone())?.send(request).await?;
        if second_factor == Some(true) {
            let message =
                "the account has a second factor, which is not asked for here: use an API token";
            return Err(Error::local(Class::Refused(Refusal::Unauthorized), message));
        }
        let printable = |text: &Zeroizing<String>| text.bytes().all(|byte| byte.is_ascii_graphic());
        match (
            ticket.map(Zeroizing::new).filter(printable),
            csrf.map(Zeroizing::new).filter(printable),
        ) {
            (Some(ticket), Some(csrf)) => {
                options.credentials = Credentials::Ticket(Ticket { ticket, csrf });
                Self::new(options)
            }
            _ => Err(Error::local(Class::Malformed, "the login gave no ticket")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_travels_as_cookie_and_header_and_is_never_printed() {
        let ticket = Ticket {
            ticket: "PVE:root@pam:65A::abc+/=".to_owned().into(),
            csrf: "65A:xyz".to_owned().into(),
        };
        let credentials = Credentials::Ticket(ticket);
        let headers = credentials.headers();
        assert_eq!(headers["cookie"], "PVEAuthCookie=PVE%3Aroot%40pam%3A65A%3A%3Aabc%2B%2F%3D");
        assert_eq!(headers["csrfpreventiontoken"], "65A:xyz");
        for shown in [format!("{credentials:?}"), format!("{headers:?}")] {
            assert!(!shown.contains("abc") && !shown.contains("xyz"), "{shown}");
        }
    }
}
