//! The end of a file that somebody else writes, line by line as it grows.

use std::fs::File;
use std::io::{self, Read as _};

use crate::cluster::folder::Folder;

/// A line that is longer is cut.
const LONGEST: usize = 256 * 1024;

/// Reads on where it stopped.
pub struct Tail {
    name: &'static str,
    file: Option<File>,
    pending: Vec<u8>,
}

impl Tail {
    /// The file of this name, which may not be there yet.
    pub fn of(name: &'static str) -> Self {
        Self { name, file: None, pending: Vec::new() }
    }

    /// The lines that have become whole since.
    pub fn lines(&mut self, folder: &Folder) -> io::Result<Vec<String>> {
        if self.file.is_none() {
            self.file = folder.reader(self.name)?;
        }
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok(lines);
            }
            for part in piece[..count].split_inclusive(|byte| *byte == b'\n') {
                if self.pending.len() < LONGEST {
                    self.pending.extend_from_slice(part);
                }
                if part.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.pending);
                    lines.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
                }
            }
        }
    }

    /// What came without an end of line.
    pub fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_come_when_they_are_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path()).unwrap();
        let mut tail = Tail::of("x");
        assert_eq!(tail.lines(&folder).unwrap(), Vec::<String>::new());
        let mut file = folder.append("x").unwrap();
        file.write_all(b"a\nb").unwrap();
        assert_eq!(tail.lines(&folder).unwrap(), ["a"]);
        file.write_all(b"c\r\n\xff\nrest").unwrap();
        assert_eq!(tail.lines(&folder).unwrap(), ["bc", "\u{fffd}"]);
        assert_eq!(tail.rest().as_deref(), Some("rest"));
    }
}
