use std::fs;
use std::path::{Path, PathBuf};

use crate::process::root;

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading() {
    let documents = documents(root());
    let mut broken = Vec::new();
    let mut followed = 0;
    for document in &documents {
        let text = prose(document);
        for target in links(&text).filter(|target| !target.contains("://")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let is_there = file.exists() && (heading.is_empty() || anchors(&prose(&file)).any(|one| one == heading));
            if !is_there {
                broken.push(format!("{}: {target}", document.display()));
            }
            followed += 1;
        }
    }
    assert!(broken.is_empty(), "broken links: {broken:#?}");
    assert!(followed > 50, "{followed} links in {} documents", documents.len());
}

/// The Markdown files in `folder` and below.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let built = |path: &Path| path.ends_with("target") || path.ends_with("node_modules");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| !hidden(path) && !built(path));
    let files = paths.flat_map(|path| if path.is_dir() { documents(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The text without its fenced code.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("```").step_by(2).collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchors of the headings.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
