use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use shared_service::{SettingSpec, Settings, start_logging};

use crate::local_stack::start;
use crate::process::{Folder, file, root};

/// A setting in `.env.example`, or in the program: name, default, description.
type Line = (String, String, String);

/// A row of docs/settings.md: name, default, reader, meaning.
type Row = [String; 4];

#[test]
fn the_example_has_every_setting_and_no_other() {
    let mut read: Vec<Line> = known().into_iter().map(|known| line(&known)).collect();
    let mut written = example();
    read.sort();
    written.sort();
    for line in &read {
        assert!(written.contains(line), ".env.example lacks this setting, or differs from the programs: {line:?}");
    }
    for line in &written {
        assert!(read.contains(line), ".env.example has a line that differs from the programs: {line:?}");
    }
    assert_eq!(read, written, "each setting is listed once");
}

/// All lines are comments; uncommented, they are a `.env` that changes nothing.
#[tokio::test]
async fn the_example_is_a_file_of_defaults() {
    let text = file(".env.example");
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "a line is not a comment");
    let folder = Folder::new();
    let uncommented = example().into_iter().map(|(name, default, _)| format!("{name}={default}\n"));
    let path = folder.path().join(".env");
    fs::write(&path, uncommented.collect::<String>()).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    let (_running, stack) = start(&folder).await;
    stack.books().get("/readyz").await.is(200);
    let john = serde_json::json!({"username": "john", "password": "password123admin"});
    stack.auth().post("/login", john).await.refused(401, "invalid_credentials");
}

#[test]
fn services_that_share_a_setting_agree_on_it() {
    let (auth, books) = (auth_settings(), books_settings());
    let (auth, books) = (auth.specs(), books.specs());
    let shared: Vec<_> = auth.iter().filter(|one| books.iter().any(|other| other.name == one.name)).collect();
    assert!(shared.len() > 5, "{shared:?}");
    for one in shared {
        assert!(books.contains(one), "books-service differs from auth-service in {one:?}");
    }
}

#[test]
fn settings_document_has_a_row_for_each_setting() {
    let text = file("docs/settings.md");
    let mut written: Vec<Row> = text.lines().filter_map(row).collect();
    let mut read = rows();
    read.sort();
    written.sort();
    for row in &read {
        assert!(written.contains(row), "docs/settings.md lacks this, or differs from the programs: {row:?}");
    }
    for row in &written {
        assert!(read.contains(row), "docs/settings.md has a row that differs from the programs: {row:?}");
    }
    assert_eq!(read, written, "each setting is listed once");
}

/// No program reads an unknown setting: a typing error would leave the default in force unnoticed.
#[test]
fn deployment_files_set_only_known_settings() {
    let known = known();
    let is_known = |name: &str| known.iter().any(|known| known.name == name);
    let (mut files, mut found) = (deployed(&root().join("deploy")), 0);
    files.extend(
        ["docker-compose.yml", "docker-compose.keys.yml", "docker-compose.scale.yml"].map(|name| root().join(name)),
    );
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for name in text.lines().filter_map(set_here).filter(|name| !OF_OTHERS.contains(name)) {
            let setting = name.strip_suffix("_FILE").unwrap_or(name);
            assert!(is_known(name) || is_known(setting), "{} sets {name}, which no program reads", path.display());
            found += 1;
        }
    }
    assert!(found > 30, "only {found} settings were found");
}

/// Variables read by other programs.
const OF_OTHERS: [&str; 2] = ["POSTGRES_PASSWORD", "TMPDIR"];

/// The YAML files and the units in `folder` and below.
fn deployed(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { deployed(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|end| end == "yml" || end == "yaml" || end == "service")).collect()
}

/// The variable that a line sets: `NAME: value` or `name: NAME` in YAML, `Environment=NAME=value` in a unit.
fn set_here(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['-', '{', ' ']);
    let named = line.strip_prefix("name: ").or_else(|| line.strip_prefix("Environment="));
    let end = |c: char| c != '_' && !c.is_ascii_uppercase() && !c.is_ascii_digit();
    let (name, rest) = named.unwrap_or(line).split_at_checked(named.unwrap_or(line).find(end)?)?;
    let is_name = name.len() > 3 && name.starts_with(|c: char| c.is_ascii_uppercase());
    (is_name && (named.is_some() || rest.starts_with(':'))).then_some(name)
}

/// All settings of both services.
fn known() -> Vec<SettingSpec> {
    let folder = Folder::new();
    let mut settings = Settings::from_pairs([("DATA_DIR", folder.path().to_str().unwrap()), ("RUST_LOG", "off")]);
    start_logging(&mut settings);
    local_stack::configs(&mut settings).unwrap();
    settings.specs().to_vec()
}

/// The settings of auth-service with only defaults.
fn auth_settings() -> Settings {
    let mut settings = Settings::from_pairs([("RUST_LOG", "off")]);
    start_logging(&mut settings);
    auth_service::config::Config::read(&mut settings);
    settings
}

/// The settings of books-service with only defaults.
fn books_settings() -> Settings {
    let mut settings = Settings::from_pairs([("RUST_LOG", "off")]);
    start_logging(&mut settings);
    books_service::Config::read(&mut settings);
    settings
}

/// A row of docs/settings.md for each setting, as the programs read it.
fn rows() -> Vec<Row> {
    let (auth, books) = (auth_settings(), books_settings());
    let readers = |name: &str| {
        let reads = |settings: &Settings| settings.specs().iter().any(|known| known.name == name);
        match (reads(&auth), reads(&books)) {
            (true, true) => "both",
            (true, false) => "auth",
            (false, true) => "books",
            (false, false) => "local-stack",
        }
    };
    let readers: Vec<_> = known().into_iter().map(|known| (readers(known.name), known)).collect();
    let missing = [auth, books].map(|settings| settings.finish().unwrap_err().to_string()).concat();
    let default = |known: &SettingSpec| match known.default.as_str() {
        "" if missing.contains(&format!("  {} is not set", known.name)) => "required".to_owned(),
        "" => "none".to_owned(),
        default => format!("`{default}`"),
    };
    let row = |(reader, known): (&str, SettingSpec)| {
        [format!("`{}`", known.name), default(&known), reader.to_owned(), known.why.to_owned()]
    };
    readers.into_iter().map(row).collect()
}

/// The cells of a row about one setting, without its type, which the programs do not report.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
    let [name, kind, default, reader, meaning] = cells.as_slice() else { return None };
    assert!(!kind.is_empty(), "{name} has no type");
    Some([format!("`{name}"), (*default).to_owned(), (*reader).to_owned(), (*meaning).to_owned()])
}

fn line(known: &SettingSpec) -> Line {
    (known.name.to_owned(), known.default.clone(), known.why.to_owned())
}

/// The pairs of lines `# why` and `#NAME=default`.
fn example() -> Vec<Line> {
    let text = file(".env.example");
    let lines: Vec<&str> = text.lines().collect();
    lines.windows(2).filter_map(|pair| setting(pair[0], pair[1])).collect()
}

fn setting(why: &str, line: &str) -> Option<Line> {
    let (name, default) = line.strip_prefix('#')?.split_once('=')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_name.then(|| (name.to_owned(), default.to_owned(), why.trim_start_matches("# ").to_owned()))
}
