//! What `#[tf(..)]` on the struct says.

use syn::{Attribute, DeriveInput, Error, LitInt, LitStr, Result};

/// What can have a time limit.
pub(crate) const OPERATIONS: [&str; 5] = ["create", "read", "update", "delete", "open"];

/// Time limits as nanoseconds' worth of text, checked here.
#[derive(Default)]
pub(crate) struct Timeouts {
    pub(crate) seconds: Vec<(String, u64)>,
}

/// The struct as a whole.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) type_name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) identity_version: Option<LitInt>,
    pub(crate) computed: bool,
    pub(crate) timeouts: Option<Timeouts>,
}

impl Container {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut container = Self::default();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("tf")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("type_name") {
                    let name: LitStr = meta.value()?.parse()?;
                    check_name(&name.value(), &name)?;
                    container.type_name = Some(name);
                } else if meta.path.is_ident("version") {
                    container.version = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("identity_version") {
                    container.identity_version = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("computed") {
                    container.computed = true;
                } else if meta.path.is_ident("timeouts") {
                    let timeouts = container.timeouts.insert(Timeouts::default());
                    meta.parse_nested_meta(|meta| timeouts.read(&meta))?;
                } else {
                    return Err(meta.error(
                        "expected type_name, version, identity_version, timeouts or computed",
                    ));
                }
                Ok(())
            })?;
        }
        if container.computed && container.type_name.is_some() {
            return Err(Error::new_spanned(
                &input.ident,
                "a resource cannot be computed as a whole",
            ));
        }
        if container.type_name.is_none() && container.timeouts.is_some() {
            return Err(Error::new_spanned(
                &input.ident,
                "timeouts need a type_name: only resources have them",
            ));
        }
        Ok(container)
    }
}

impl Timeouts {
    fn read(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> Result<()> {
        let operation = meta.path.require_ident()?.to_string();
        if !OPERATIONS.contains(&operation.as_str()) {
            return Err(meta.error("expected create, read, update, delete or open"));
        }
        let text: LitStr = meta.value()?.parse()?;
        let seconds = seconds(&text.value()).ok_or_else(|| {
            Error::new_spanned(&text, "expected a duration like \"90s\" or \"1h30m\"")
        })?;
        self.seconds.push((operation, seconds));
        Ok(())
    }
}

/// `1h30m` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..end].parse().ok()?;
        total += count
            * match rest[end..].chars().next()? {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return None,
            };
        rest = &rest[end + 1..];
    }
    (total > 0).then_some(total)
}

/// Terraform's rule for names.
pub(crate) fn check_name(name: &str, at: &impl quote::ToTokens) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_well = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts_well && goes_well {
        Ok(())
    } else {
        Err(Error::new_spanned(at, "names are of a-z, 0-9 and _"))
    }
}

/// The text of doc comments, as Markdown.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && let syn::Expr::Lit(literal) = &pair.value
            && let syn::Lit::Str(text) = &literal.lit
        {
            let text = text.value();
            lines.push(text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned());
        }
    }
    let paragraphs: Vec<_> = lines.split(String::is_empty).map(paragraph).collect();
    paragraphs.join("\n\n").trim().to_owned()
}

/// Lines of one paragraph are one line, because Terraform and the registry wrap for themselves;
/// the points of a list stay on lines of their own.
fn paragraph(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let is_point = line.starts_with("- ") || line.starts_with("* ");
        text.push_str(if text.is_empty() {
            ""
        } else if is_point {
            "\n"
        } else {
            " "
        });
        text.push_str(line.trim_start());
    }
    text
}
