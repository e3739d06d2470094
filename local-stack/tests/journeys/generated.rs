//! Clients generated from the two OpenAPI documents: one in TypeScript, which compiles in strict mode, one in Python.

use std::process::Command;

use crate::local_stack::start;
use crate::process::{Folder, root};
use crate::targets::binary;

const SCRIPT: &str = r#"
cp "$root"/local-stack/tests/generated/* .
ln -s "$root/target/tools/openapi-node/node_modules" node_modules
echo '{"type":"module"}' >package.json
for name in auth books; do
  "$programs/$name-service" openapi >$name.json
  node node_modules/openapi-typescript/bin/cli.js $name.json --output $name.ts &
  "$root/target/tools/openapi-python/bin/openapi-python-client" generate --path $name.json --output-path $name --meta none &
done
wait
node node_modules/typescript/bin/tsc --project .
node out/client.js "$auth" "$books"
"$root/target/tools/openapi-python/bin/python" client.py "$auth" "$books"
"#;

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn generated_clients_compile_log_in_and_list_books() {
    let folder = Folder::new();
    let (_running, stack) = start(&folder).await;
    let work = Folder::new();
    let done = Command::new("bash")
        .args(["-euc", SCRIPT])
        .current_dir(work.path())
        .env("root", root())
        .env("programs", binary("local-stack").parent().unwrap())
        .envs([("auth", &stack.auth), ("books", &stack.books)])
        .env("no_proxy", "*")
        .output()
        .unwrap();
    let [printed, said] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(done.status.success(), "run ./test, which installs what is missing: {printed}{said}");
    assert!(printed.contains("anna 2 17\n"), "in TypeScript: {printed}");
    assert!(printed.contains("2 ['Things Fall Apart', 'Fairy tales']"), "in Python: {printed}");
}
