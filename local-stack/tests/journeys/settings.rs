use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use shared_service::{Known, Settings, start_logging};

use crate::local_stack::start;
use crate::process::{Folder, file, root};

/// What `.env.example` says of a setting, or what the program says.
type Line = (String, String, String);

#[test]
fn the_example_has_every_setting_and_no_other() {
    let mut read: Vec<Line> = known().into_iter().map(|known| line(&known)).collect();
    let mut written = example();
    read.sort();
    written.sort();
    for line in &read {
        assert!(written.contains(line), "is read as this, and stands otherwise in .env.example: {line:?}");
    }
    for line in &written {
        assert!(read.contains(line), "stands in .env.example, and is read otherwise or not at all: {line:?}");
    }
    assert_eq!(read, written, "each stands there once");
}

/// Nothing in it counts until somebody takes the # off, and then it is a `.env` that says nothing new.
#[tokio::test]
async fn the_example_is_a_file_of_defaults() {
    let text = file(".env.example");
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "a line that counts");
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
    let (auth, books) = (of_auth_service(), of_books_service());
    let shared: Vec<_> = auth.iter().filter(|one| books.iter().any(|other| other.name == one.name)).collect();
    assert!(shared.len() > 5, "{shared:?}");
    for one in shared {
        assert!(books.contains(one), "books-service says something else than {one:?}");
    }
}

#[test]
fn the_readme_names_every_setting_and_its_default() {
    let readme = file("README.md");
    let rows: Vec<Vec<&str>> = readme.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    for Known { name, default, .. } in known() {
        let quoted = format!("`{name}`");
        let row = rows.iter().find(|cells| cells.len() > 3 && cells[1].contains(&quoted));
        let row = row.unwrap_or_else(|| panic!("{name} has no row in README.md's table of settings"));
        let said = default.is_empty() || row[2].contains(&format!("`{default}`"));
        assert!(said, "{name} is {default}, and README.md says {}", row[2]);
    }
}

/// What is not known is not read: a typing error would leave the default in force, and nobody would hear of it.
#[test]
fn what_is_deployed_sets_known_settings_alone() {
    let known = known();
    let is_known = |name: &str| known.iter().any(|known| known.name == name);
    let (mut files, mut found) = (deployed(&root().join("deploy")), 0);
    files.extend(["docker-compose.yml", "docker-compose.scale.yml"].map(|name| root().join(name)));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for name in text.lines().filter_map(set_here).filter(|name| !OF_OTHERS.contains(name)) {
            let setting = name.strip_suffix("_FILE").unwrap_or(name);
            assert!(is_known(name) || is_known(setting), "{} sets {name}, which nobody reads", path.display());
            found += 1;
        }
    }
    assert!(found > 30, "{found} settings were found");
}

/// What programs of others read.
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

/// What is read by anybody.
fn known() -> Vec<Known> {
    let folder = Folder::new();
    let mut settings = Settings::from_pairs([("DATA_DIR", folder.path().to_str().unwrap()), ("RUST_LOG", "off")]);
    start_logging(&mut settings);
    local_stack::configs(&mut settings).unwrap();
    settings.known().to_vec()
}

fn of_auth_service() -> Vec<Known> {
    let mut settings = Settings::from_pairs::<&str, &str>([]);
    auth_service::config::Config::read(&mut settings);
    settings.known().to_vec()
}

fn of_books_service() -> Vec<Known> {
    let mut settings = Settings::from_pairs::<&str, &str>([]);
    books_service::Config::read(&mut settings);
    settings.known().to_vec()
}

fn line(known: &Known) -> Line {
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
