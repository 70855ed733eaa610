//! Logs the way the host reads them: a JSON object a line on stderr; a panic as plain lines.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging and makes panics readable. `address` ends with the provider's name.
pub(super) fn start(address: &str) {
    let name = address.rsplit('/').next().unwrap_or(address).to_uppercase();
    let wanted = [&format!("TF_LOG_PROVIDER_{name}"), "TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|level| !level.is_empty()));
    let level = wanted.as_deref().map_or(LevelFilter::WARN, level);
    // The transport's own chatter helps nobody who debugs a provider.
    let quiet = level.min(LevelFilter::WARN);
    let targets = ["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];
    let filter = Targets::new()
        .with_default(level)
        .with_targets(targets.into_iter().map(|target| (target, quiet)));
    // A second start in one process (tests) keeps the first one's settings.
    let _ = tracing_subscriber::registry().with(Lines.with_filter(filter)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The host collects the lines after "panic: " and shows them to the user.
        let mut text = format!("panic: {}", message(panic.payload()));
        if let Some(place) = panic.location() {
            let _ = write!(text, " at {}:{}", place.file(), place.line());
        }
        let trace = std::backtrace::Backtrace::force_capture();
        let _ = writeln!(std::io::stderr(), "{text}\n\n{trace}");
    }));
}

fn message(payload: &dyn std::any::Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn level(name: &str) -> LevelFilter {
    match name.to_ascii_uppercase().as_str() {
        "TRACE" | "JSON" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "INFO" => LevelFilter::INFO,
        "ERROR" => LevelFilter::ERROR,
        "OFF" => LevelFilter::OFF,
        _ => LevelFilter::WARN,
    }
}

struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = line(
            *event.metadata().level(),
            event.metadata().target(),
            &timestamp(since.as_secs(), since.subsec_micros()),
            fields.0,
        );
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// One line. The host crashes Terraform when `@level`, `@message` or `@timestamp` is no string.
fn line(level: Level, target: &str, timestamp: &str, mut fields: Map<String, Value>) -> Value {
    let message = fields.remove("message").unwrap_or_else(|| "".into());
    let mut line: Map<_, _> =
        fields.into_iter().filter(|(name, _)| !name.starts_with('@')).collect();
    line.insert("@level".to_owned(), level.as_str().to_ascii_lowercase().into());
    line.insert("@message".to_owned(), message);
    line.insert("@module".to_owned(), target.into());
    line.insert("@timestamp".to_owned(), timestamp.into());
    Value::Object(line)
}

/// RFC 3339 in UTC with exactly six fractional digits, which is all that the host accepts.
fn timestamp(seconds: u64, micros: u32) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Howard Hinnant's civil-from-days, with years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_six_digits_and_the_right_day() {
        assert_eq!(timestamp(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(timestamp(951_782_400, 7), "2000-02-29T00:00:00.000007Z");
        assert_eq!(timestamp(1_795_391_999, 999_999), "2026-11-22T23:59:59.999999Z");
        assert_eq!(timestamp(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn levels_are_those_of_the_host_in_any_case() {
        for (name, expected) in [
            ("TRACE", LevelFilter::TRACE),
            ("json", LevelFilter::TRACE),
            ("Debug", LevelFilter::DEBUG),
            ("INFO", LevelFilter::INFO),
            ("warn", LevelFilter::WARN),
            ("ERROR", LevelFilter::ERROR),
            ("off", LevelFilter::OFF),
            ("1", LevelFilter::WARN),
        ] {
            assert_eq!(level(name), expected, "{name}");
        }
        let shown = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR]
            .map(|level| line(level, "", "", Map::new())["@level"].clone());
        assert_eq!(shown, ["trace", "debug", "info", "warn", "error"]);
    }

    #[test]
    fn a_line_has_the_host_s_names_as_strings() {
        let mut fields = Map::new();
        fields.insert("message".to_owned(), "made a clone".into());
        fields.insert("vmid".to_owned(), "101".into());
        fields.insert("@level".to_owned(), 5.into());
        let line = line(Level::INFO, "wall", "2026-11-23T02:00:00.000000Z", fields);
        assert_eq!(
            line.to_string(),
            r#"{"@level":"info","@message":"made a clone","@module":"wall","@timestamp":"2026-11-23T02:00:00.000000Z","vmid":"101"}"#
        );
    }
}
