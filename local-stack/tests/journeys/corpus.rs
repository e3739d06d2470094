use std::fs;
use std::path::Path;

use crate::fuzz::Services;

/// A file has `good` in its name if its body is valid; every other body must be refused.
#[test]
fn every_body_of_the_corpus_is_answered() {
    let mut services = Services::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/body");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let (mut good, mut wrong) = (0, Vec::new());
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(file).unwrap();
        // A busy machine may answer 503, which is no failure.
        let status = (0..100).map(|_| services.run(&bytes)).find(|status| *status != 503).unwrap();
        let is_good = name.split('-').any(|word| word == "good");
        good += usize::from(is_good);
        if is_good != (status < 300) {
            wrong.push(format!("{name}: {status}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(good > 12 && files.len() > 2 * good, "too few files in the corpus");
}
