//! Bytes of a pipe into lines of text, with a limit on their length.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A line that is longer comes in pieces.
const LONGEST: usize = 64 * 1024;

pub(crate) struct Lines<R> {
    /// Nothing once the pipe has ended.
    pipe: Option<R>,
    pending: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(pipe: Option<R>) -> Self {
        Self { pipe, pending: Vec::new() }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Wait for bytes and give the lines that are whole now. May be dropped at any time without losing any.
    pub(crate) async fn next(&mut self) -> Vec<String> {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        if pipe.read_buf(&mut self.pending).await.is_ok_and(|count| count > 0) {
            return self.split();
        }
        self.pipe = None;
        self.rest()
    }

    /// What came without an end of line.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let rest = std::mem::take(&mut self.pending);
        if rest.is_empty() { Vec::new() } else { vec![text(&rest)] }
    }

    fn split(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            lines.push(text(&line[..end]));
        }
        if self.pending.len() >= LONGEST {
            lines.extend(self.rest());
        }
        lines
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}
