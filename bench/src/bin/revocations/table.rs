//! The table of promises and figures.

use std::fmt;

/// One line of the report.
pub struct Row {
    what: &'static str,
    promise: &'static str,
    figure: String,
    is_kept: bool,
}

/// All lines of the report.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Row {
    pub fn promise(what: &'static str, promise: &'static str, figure: String, is_kept: bool) -> Self {
        Self { what, promise, figure, is_kept }
    }

    /// A figure without a promise.
    pub fn figure(what: &'static str, figure: String) -> Self {
        Self::promise(what, "", figure, true)
    }
}

impl Table {
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.0.extend(rows);
    }

    /// The promises that were not kept.
    pub fn broken(&self) -> Vec<String> {
        let broken = self.0.iter().filter(|row| !row.is_kept);
        broken.map(|row| format!("{}: {}, promised {}", row.what, row.figure, row.promise)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | promise | figure |\n|---|--:|--:|")?;
        self.0.iter().try_for_each(|row| writeln!(f, "| {} | {} | {} |", row.what, row.promise, row.figure))
    }
}

/// The median; NaN if there are no figures.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
