//! What people type freely, one line, printable, of a known length; and what they are told of it. PURE.

use crate::error::Field;

/// A line of text without anything invisible in it, trimmed.
pub fn line(field: &str, text: &str, longest: usize) -> Result<String, Field> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Field::new(field, "Fill this in."));
    }
    if text.chars().count() > longest {
        return Err(Field::new(field, format!("Use at most {longest} characters.")));
    }
    if text.chars().any(is_invisible) {
        return Err(Field::new(field, "Use printable characters in one line."));
    }
    Ok(text.to_owned())
}

/// What somebody signs in with: it stands in addresses, logs and machine-readable lists.
pub fn login(field: &str, text: &str) -> Result<String, Field> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let valid = (2..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(allowed);
    if valid {
        Ok(text.to_owned())
    } else {
        Err(Field::new(
            field,
            "Use 2 to 40 lower-case letters, digits, '.', '_' and '-', beginning with a letter.",
        ))
    }
}

/// The name of an environment: a DNS label, so that other names can be made of it.
pub fn label(field: &str, text: &str) -> Result<String, Field> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = (2..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(allowed);
    if valid {
        Ok(text.to_owned())
    } else {
        Err(Field::new(
            field,
            "Use 2 to 40 lower-case letters, digits and hyphens, beginning with a letter.",
        ))
    }
}

/// A rule as it stands in the spec, as a sentence.
pub fn sentence(rule: &str) -> String {
    let mut letters = rule.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Controls, and the characters that turn the direction of what follows or have no width.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_has_nothing_invisible() {
        assert_eq!(line("name", "  Zoë O'Neill ", 20), Ok("Zoë O'Neill".to_owned()));
        for bad in ["", "  ", "a\nb", "a\tb", "a\u{202E}b", "a\u{200B}b", "x\u{7}", &"x".repeat(21)]
        {
            assert!(line("name", bad, 20).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rule_is_told_as_a_sentence() {
        assert_eq!(sentence("use 1 to 40 letters"), "Use 1 to 40 letters.");
    }

    #[test]
    fn logins_and_labels_follow_their_rules() {
        for good in ["sam", "s.o-n_9"] {
            assert_eq!(login("login", good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "s",
            "Sam",
            "-sam",
            "9sam",
            "sam smith",
            "sam@x",
            "../etc",
            "sam;id",
            "säm",
            &"s".repeat(41),
        ] {
            assert!(login("login", bad).is_err(), "{bad:?}");
            assert!(label("name", bad).is_err(), "{bad:?}");
        }
        assert!(label("name", "course-1").is_ok());
        assert!(label("name", "course-").is_err());
    }
}
