use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::process::file;

/// The least number of tests that the checklist names: with fewer, some were lost.
const FEWEST: usize = 60;

/// The prefixes of the last cell if no test can verify the clause.
const REASONS: [&str; 3] = ["not met: ", "does not apply: ", "in words: "];

const ATTRIBUTES: [&str; 3] = ["#[test]", "#[tokio::test", "#[actix_web::test"];

#[test]
fn every_test_that_the_checklist_names_exists() {
    let checklist = file("docs/checklist.md");
    let mut there = BTreeSet::new();
    collect_tests(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap(), &mut there);
    let rows: Vec<[&str; 3]> = checklist.lines().filter_map(row).collect();
    let named: BTreeSet<&str> = rows.iter().flat_map(|[_, _, proof]| spans(proof)).collect();
    let missing: Vec<_> = named.iter().filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/checklist.md names tests that do not exist: {missing:#?}");
    let bare: Vec<_> = rows.iter().filter(|[_, _, proof]| !is_proven(proof)).map(|[clause, ..]| clause).collect();
    assert!(bare.is_empty(), "docs/checklist.md has neither a test nor a reason for {bare:?}");
    assert!(named.len() >= FEWEST, "docs/checklist.md names only {} tests", named.len());
}

/// The cells of a line of a table. `None` for the header and for other text.
fn row(line: &str) -> Option<[&str; 3]> {
    let inside = line.strip_prefix('|')?.strip_suffix('|').unwrap_or_else(|| panic!("not closed: {line}"));
    let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
    let cells = <[&str; 3]>::try_from(cells).unwrap_or_else(|_| panic!("not three cells: {line}"));
    (cells[0] != "clause" && cells[0] != "---").then_some(cells)
}

/// The texts in backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_proven(proof: &str) -> bool {
    spans(proof).next().is_some() || REASONS.iter().any(|reason| proof.starts_with(reason))
}

/// Adds the names of all tests in the folder and its subfolders.
fn collect_tests(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect_tests(&path, tests);
        } else if name.ends_with(".rs") {
            let source = fs::read_to_string(&path).unwrap();
            tests.extend(functions(&source).chain(listed(&source)).map(str::to_owned));
        }
    }
}

/// The functions with an attribute of a test.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    source.lines().map(str::trim).filter_map(move |line| {
        is_test |= ATTRIBUTES.iter().any(|attribute| line.starts_with(attribute));
        let (_, rest) = line.split_once("fn ").filter(|_| is_test && !line.starts_with(['/', '#']))?;
        is_test = false;
        rest.split(['(', '<']).next()
    })
}

/// The cases given to a macro of the same file that makes a test of each.
fn listed(source: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    source.lines().flat_map(move |line| {
        let opens = line.strip_suffix("! {").is_some_and(|name| source.contains(&format!("macro_rules! {name} {{")));
        inside = opens || inside && line != "}";
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(move |word| inside && !opens && word.contains('_'))
    })
}
