use std::fs;
use std::path::Path;

use crate::fuzz::{Accepted, run};

/// The prefix of a file's name is the expected result: `good`, `forged` (a wrong signature) or `bad`.
#[test]
fn the_corpus_is_judged_as_its_names_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/verifier");
    let (mut seen, mut wrong) = ([0; 3], Vec::new());
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let accepted = run(&fs::read(file.path()).unwrap());
        let kind = match name.split_once('-').unwrap().0 {
            "good" => 0,
            "forged" => 1,
            "bad" => 2,
            other => panic!("unknown prefix: {other}"),
        };
        seen[kind] += 1;
        let as_named = match kind {
            0 => accepted.signed,
            // Only the signature is wrong.
            1 => accepted == Accepted { as_it_is: false, signed: true },
            _ => accepted == Accepted::default(),
        };
        if !as_named {
            wrong.push(format!("{name}: {accepted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.iter().all(|seen| *seen > 3), "too few files in the corpus: {seen:?}");
}
