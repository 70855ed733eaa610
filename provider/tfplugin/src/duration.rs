//! Durations the way Terraform users write them: `90s`, `1h30m`.

use std::fmt::Write as _;
use std::time::Duration;

/// Reads Go's spelling of a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is no duration; write one like \"90s\", \"30m\" or \"1h30m\"");
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest == "0" {
        return Ok(total);
    }
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(fault)?;
        let count: f64 = rest[..end].parse().map_err(|_| fault())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(fault()),
        };
        let part = Duration::try_from_secs_f64(count * unit).map_err(|_| fault())?;
        total = total.checked_add(part).ok_or_else(fault)?;
        rest = &rest[end..];
    }
    Ok(total)
}

/// The shortest spelling with whole units.
pub(crate) fn format(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let mut text = String::new();
    for (unit, value) in [("h", seconds / 3600), ("m", seconds / 60 % 60), ("s", seconds % 60)] {
        if value > 0 {
            let _ = write!(text, "{value}{unit}");
        }
    }
    if millis > 0 {
        let _ = write!(text, "{millis}ms");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_the_way_go_reads_them() {
        for (text, seconds) in [("90s", 90), ("1h30m", 5400), ("1.5m", 90), ("0", 0), ("30m", 1800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "30", "m", "5 m", "-5m", "5y", "1h30", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(format(Duration::from_mins(90)), "1h30m");
        assert_eq!(format(Duration::from_millis(1500)), "1s500ms");
    }
}
