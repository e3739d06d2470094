use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Often enough to be seen moving, and nothing beside the work.
const PAUSE: Duration = Duration::from_millis(100);

/// A line that counts what is done of long work. It is written over itself, and gone when the work is.
pub struct Progress<W: Write> {
    what: &'static str,
    /// None where nobody sits at a terminal.
    out: Option<W>,
    told: Instant,
    shown: bool,
}

impl Progress<io::Stderr> {
    /// On standard error, if that is a terminal; else it says nothing. `what` is counted: "people", "books".
    #[must_use]
    pub fn of(what: &'static str) -> Self {
        let out = io::stderr();
        Self::on(out.is_terminal().then_some(out), what)
    }
}

impl<W: Write> Progress<W> {
    fn on(out: Option<W>, what: &'static str) -> Self {
        Self { what, out, told: Instant::now(), shown: false }
    }

    /// So many are done. Work that is quick is over before anything is shown.
    pub fn is_at(&mut self, done: usize) {
        if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            self.show(done);
        }
    }

    fn show(&mut self, done: usize) {
        let Some(out) = &mut self.out else { return };
        // Whoever cannot be told misses nothing.
        drop(write!(out, "\r{done} {}\u{1b}[K", self.what).and_then(|()| out.flush()));
        self.shown = true;
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if let (true, Some(out)) = (self.shown, &mut self.out) {
            drop(write!(out, "\r\u{1b}[K").and_then(|()| out.flush()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_over_and_taken_away() {
        let mut out = Vec::new();
        let mut progress = Progress::on(Some(&mut out), "books");
        progress.is_at(1);
        progress.show(7);
        progress.show(1200);
        drop(progress);
        assert_eq!(out, b"\r7 books\x1b[K\r1200 books\x1b[K\r\x1b[K", "not the first: it was quick");
        let mut out = Vec::new();
        drop(Progress::on(Some(&mut out), "books"));
        assert!(out.is_empty(), "nothing shown, nothing to take away");
    }
}
