use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A progress line on standard error, if that is a terminal: `1200 books`. Removed at the end.
pub struct Progress(ProgressBar);

impl Progress {
    /// Counts `what`: "people", "books".
    #[must_use]
    pub fn of(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{pos} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::no_length().with_style(style).with_message(what);
        Self(bar.with_finish(ProgressFinish::AndClear))
    }

    /// Shows the count `done`, at most ten times a second.
    pub fn set(&self, done: usize) {
        self.0.set_position(done as u64);
    }
}
