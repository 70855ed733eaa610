//! The API token. Its secret leaves this type only as the request header.

use std::fmt;
use std::str::FromStr;

use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

/// A Proxmox API token, `user@realm!name=secret`.
#[derive(Clone)]
pub struct ApiToken {
    id: String,
    secret: Zeroizing<String>,
}

/// The text is not `user@realm!name=secret`. It never repeats the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API token must look like user@realm!name=secret")]
pub struct InvalidToken;

impl ApiToken {
    /// The part before the secret, `user@realm!name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole token with its secret, `user@realm!name=secret`: for the one file that keeps it.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}={}", self.id, *self.secret))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("PVEAPIToken={}={}", self.id, *self.secret));
        let mut value =
            HeaderValue::from_str(&text).expect("checked to be printable ASCII when it was parsed");
        value.set_sensitive(true);
        value
    }
}

impl FromStr for ApiToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        let text = text.strip_prefix("PVEAPIToken=").unwrap_or(text);
        let (id, secret) = text.split_once('=').ok_or(InvalidToken)?;
        let (user, name) = id.split_once('!').ok_or(InvalidToken)?;
        let (login, realm) = user.rsplit_once('@').ok_or(InvalidToken)?;
        // The server ends the value at `;` and percent-decodes it, so neither may be inside.
        let clean = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b'%')
        };
        if [login, realm, name, secret].into_iter().all(clean) {
            Ok(Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
        } else {
            Err(InvalidToken)
        }
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}=<redacted>)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_never_printed() {
        let token: ApiToken = "root@pam!tf=11111111-2222-3333-4444-555555555555".parse().unwrap();
        assert_eq!(token.id(), "root@pam!tf");
        assert_eq!(format!("{token:?}"), "ApiToken(root@pam!tf=<redacted>)");
        assert_eq!(format!("{:?}", token.header()), "Sensitive");
        assert_eq!(
            token.header().to_str().unwrap(),
            "PVEAPIToken=root@pam!tf=11111111-2222-3333-4444-555555555555"
        );
    }

    #[test]
    fn half_a_token_is_refused_without_repeating_it() {
        for text in [
            "",
            "secret",
            "root@pam=secret",
            "root!tf=secret",
            "root@pam!tf=",
            "root@pam!tf=a b",
            "root@pam!tf=a;b",
        ] {
            assert_eq!(text.parse::<ApiToken>().unwrap_err(), InvalidToken, "{text}");
        }
    }
}
