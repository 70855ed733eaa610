//! Command lines in the manner of Go's pflag: flags anywhere, `--flag value` and `--flag=value`, unknown ones refused.

use std::collections::BTreeMap;

use anyhow::bail;

/// The flags that a command knows.
pub(super) struct Known {
    /// Flags that take a value.
    pub(super) valued: &'static [&'static str],
    /// Flags that stand alone (`--flag`, `--flag=false`).
    pub(super) switches: &'static [&'static str],
}

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<String>,
    values: BTreeMap<String, Vec<String>>,
}

/// One-letter flags and what they stand for, the same in all the programs.
const SHORT: [(char, &str); 11] = [
    ('o', "output"),
    ('f', "force"),
    ('n', "namespace"),
    ('A', "all-namespaces"),
    ('l', "selector"),
    ('w', "watch"),
    ('v', "v"),
    ('h', "help"),
    ('r', "cri-socket"),
    ('R', "recursive"),
    ('k', "kustomize"),
];

impl Arguments {
    pub(super) fn parse(arguments: &[String], known: &Known) -> anyhow::Result<Self> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (mut name, mut value) = if argument == "--" {
                parsed.positional.extend(rest.cloned());
                break;
            } else if let Some(long) = argument.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (long.to_owned(), None),
                }
            } else if let Some(short) = argument.strip_prefix('-').filter(|short| !short.is_empty())
            {
                let letter = short.chars().next().unwrap_or_default();
                let Some((_, name)) = SHORT.iter().find(|(known, _)| *known == letter) else {
                    bail!("unknown shorthand flag: '{letter}' in {argument}");
                };
                let value = short[1..].trim_start_matches('=');
                ((*name).to_owned(), (!value.is_empty()).then(|| value.to_owned()))
            } else {
                parsed.positional.push(argument.clone());
                continue;
            };
            // kubectl's -f is a file, kubeadm's is force.
            if name == "force" && argument.starts_with("-f") && known.valued.contains(&"filename") {
                "filename".clone_into(&mut name);
            }
            if known.switches.contains(&name.as_str()) || name == "help" {
                value.get_or_insert_with(|| "true".to_owned());
            } else if known.valued.contains(&name.as_str()) || name == "v" {
                if value.is_none() {
                    value = rest.next().cloned();
                }
            } else {
                bail!("unknown flag: --{name}");
            }
            let Some(value) = value else { bail!("flag needs an argument: --{name}") };
            parsed.values.entry(name).or_default().push(value);
        }
        Ok(parsed)
    }

    /// The last value given for a flag.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }

    /// Every value of a flag that may be repeated or hold a comma separated list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.values
            .get(name)
            .into_iter()
            .flatten()
            .flat_map(|value| value.split(','))
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value != "false")
    }
}

/// A duration as Go writes it: `24h0m0s`, `90s`, `1.5h`, `300ms`, `0`.
pub(super) fn duration(text: &str) -> anyhow::Result<std::time::Duration> {
    let invalid = || anyhow::anyhow!("time: invalid duration \"{text}\"");
    if text == "0" {
        return Ok(std::time::Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let number = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .ok_or_else(invalid)?;
        let unit = rest[number..]
            .find(|character: char| character.is_ascii_digit())
            .map_or(rest.len(), |end| number + end);
        let amount: f64 = rest[..number].parse().map_err(|_| invalid())?;
        seconds += amount
            * match &rest[number..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return Err(invalid()),
            };
        rest = &rest[unit..];
    }
    std::time::Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known =
        Known { valued: &["config", "output", "filename"], switches: &["force", "all"] };

    fn parse(line: &str) -> anyhow::Result<Arguments> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &KNOWN)
    }

    #[test]
    fn flags_may_stand_anywhere_and_in_every_spelling() {
        let parsed = parse("token create --config=a.yaml -ojson abc --all -f x,y -v5").unwrap();
        assert_eq!(parsed.positional, ["token", "create", "abc"]);
        assert_eq!(parsed.value("config"), Some("a.yaml"));
        assert_eq!(parsed.value("output"), Some("json"));
        assert_eq!(parsed.list("filename"), ["x", "y"]);
        assert!(parsed.is_set("all") && !parsed.is_set("force"));
        assert_eq!(parse("init --nonsense").unwrap_err().to_string(), "unknown flag: --nonsense");
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(duration("2h0m0s").unwrap().as_secs(), 7200);
        assert_eq!(duration("1.5h").unwrap().as_secs(), 5400);
        assert_eq!(duration("250ms").unwrap().as_millis(), 250);
        assert!(duration("5 minutes").is_err());
        assert!(duration("").is_err());
    }
}
