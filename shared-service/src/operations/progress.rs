use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A line on standard error, if that is a terminal, that counts the finished part of long work: `1200 books`. It is gone when the
/// work is.
pub struct Progress(ProgressBar);

impl Progress {
    /// Counts `what`: "people", "books".
    #[must_use]
    pub fn of(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{pos} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::no_length().with_style(style).with_message(what);
        Self(bar.with_finish(ProgressFinish::AndClear))
    }

    /// Shows the count `done`, ten times a second at most.
    pub fn is_at(&self, done: usize) {
        self.0.set_position(done as u64);
    }
}
