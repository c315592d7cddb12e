//! What concerns the file itself and not its text; `config check`; `init`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails loudly, its helpers too"
)]

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use renewd::cli::exit::Exit;
use renewd::cli::init::{self, Dialog, Flags};
use renewd::cli::{config_check, explain};
use renewd::config::{Addresses, Bind, Config, LifeLeft, Style, VaultKeySource};

fn write(folder: &Path, text: &[u8], mode: u32) -> std::path::PathBuf {
    let path = folder.join("renewd.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn code(path: &Path) -> String {
    let errors = Config::load(path).unwrap_err();
    let code = errors.errors()[0].code();
    assert!(explain::page(&code).is_some(), "{code} has no page");
    assert!(errors.render(Style::PLAIN).contains("renewd explain"));
    code
}

#[test]
fn a_file_that_cannot_be_trusted_or_read_is_refused_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert_eq!(code(&path.join("none.toml")), "R0101");
    assert_eq!(code(path), "R0112", "a directory");
    assert_eq!(code(&write(path, b"version = 1\n", 0o664)), "R0110", "group");
    assert_eq!(code(&write(path, b"version = 1\n", 0o646)), "R0110", "world");
    assert_eq!(code(&write(path, &vec![b'#'; 1024 * 1024 + 1], 0o644)), "R0109");
    assert!(Config::load(&write(path, b"version = 1\n", 0o600)).is_ok());
    assert!(Config::load(&write(path, b"\xef\xbb\xbfversion = 1\n", 0o644)).is_ok(), "with a BOM");
}

#[test]
fn a_root_file_that_is_no_certificate_is_refused_when_the_file_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version = 1\n[account]\nca_root_file = \"root.pem\"\n";
    let path = write(folder.path(), text.as_bytes(), 0o644);
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for root in ["", "hello", &format!("{begin}AAAA\n{end}"), &format!("{begin}!\n{end}"), key] {
        fs::write(folder.path().join("root.pem"), root).unwrap();
        assert_eq!(code(&path), "R0144", "{root}");
    }
}

fn every_key() -> Config {
    let file = good().join("every-key.toml");
    Config::from_bytes(&file, &fs::read(&file).unwrap()).unwrap()
}

fn good() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/config/good")
}

#[test]
fn every_key_of_the_account_and_the_small_sections_reaches_the_configuration() {
    let config = every_key();
    assert_eq!(config.state_dir, Path::new("/srv/renewd"));
    assert_eq!(config.account.ca.url, "https://acme.corp.internal/acme/directory");
    assert_eq!(config.account.email.as_ref().unwrap().contact(), "mailto:ops@example.org");
    assert!(config.account.terms_accepted);
    assert_eq!(config.account.ca_root.as_ref().unwrap().certificates.len(), 1);
    assert_eq!(config.renew.check_every, Duration::from_secs(12 * 3600));
    assert_eq!(config.renew.retry_first, Duration::from_secs(120));
    assert_eq!(config.renew.max_parallel, 2);
    assert_eq!(config.http.listen.len(), 1);
    assert!(config.http.force_ssl);
    assert!(config.http.hsts.unwrap().preload);
}

#[test]
fn every_key_of_the_last_sections_reaches_the_configuration() {
    let config = every_key();
    assert_eq!(config.admin.listen.unwrap().to_string(), "0.0.0.0:9180");
    assert_eq!(config.vault, VaultKeySource::Credential("renewd.vault".to_owned()));
    assert_eq!(config.telemetry.otlp_endpoint.as_deref(), Some("http://127.0.0.1:4318"));
    assert_eq!(format!("{:?}", config.restart), "Restart { when: Never, method: Exit }");
    assert_eq!(format!("{:?}", config.telemetry.log), "Log { format: Json, level: Debug }");
}

#[test]
fn every_key_of_a_certificate_reaches_the_configuration() {
    let config = every_key();
    let [shop, second] = config.certificates.as_slice() else { panic!("two certificates") };
    assert_eq!(shop.name.as_str(), "shop");
    assert_eq!(shop.domains[0].name().as_str(), "shop.corp.internal");
    assert_eq!(shop.domains[1].to_string(), "bücher.de (xn--bcher-kva.de)");
    assert_eq!(shop.profile.as_deref(), Some("shortlived"));
    assert!(!shop.renew.ari);
    assert_eq!(shop.renew.at_life_left, LifeLeft::Fixed(Duration::from_secs(21 * 86_400)));
    assert_eq!(second.name.as_str(), "second.corp.internal", "the first domain");
    assert!(second.renew.ari, "as in [renew]");
    assert_eq!(second.renew.at_life_left, LifeLeft::Share { numerator: 1, denominator: 2 });
}

#[test]
fn every_key_of_a_bind_reaches_the_configuration() {
    let config = every_key();
    let shop = &config.certificates[0];
    let [Bind::Builtin(builtin), Bind::Files(files)] = shop.bindings.as_slice() else {
        panic!("{:?}", shop.bindings)
    };
    let sockets: Vec<String> = builtin.sockets().iter().map(ToString::to_string).collect();
    assert_eq!(sockets, ["203.0.113.7:8443", "[2001:db8::7]:8443"]);
    assert_eq!(files.directory, good().join("tls/shop"), "beside the file");
    let reload = files.reload.as_ref().unwrap();
    assert_eq!((reload.program.as_str(), reload.arguments.len()), ("systemctl", 2));
    assert_eq!(reload.timeout, Duration::from_secs(30));
    assert_eq!(files.verify.unwrap().to_string(), "127.0.0.1:443");
}

#[test]
fn an_empty_configuration_has_the_documented_defaults() {
    let config = Config::from_bytes(Path::new("x.toml"), b"version = 1").unwrap();
    assert_eq!(config.account.ca.title(), "Let's Encrypt");
    assert!(!config.account.terms_accepted);
    assert_eq!(config.renew.retry_first, Duration::from_secs(60));
    assert_eq!(config.renew.max_parallel, 8);
    let listen: Vec<String> = config.http.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:80", "[::]:80"]);
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9180");
    assert_eq!(config.vault, VaultKeySource::File("/var/lib/renewd/vault.key".into()));
}

#[test]
fn config_check_tells_what_the_file_means_and_ends_with_3_when_it_is_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"version = 1\n[[certificate]]\ndomains = [\"example.org\"]\n";
    let file = Some(write(folder.path(), text, 0o644));
    let reply = config_check::run(&config_check::Flags { file, json: false }, None, Style::PLAIN);
    assert_eq!(reply.exit, Exit::Done, "{}", reply.err);
    for word in ["1 certificate(s)", "example.org", "has no bind"] {
        assert!(reply.out.contains(word), "{word}: {}", reply.out);
    }
    let file = Some(write(folder.path(), b"vers = 1\n", 0o644));
    let reply = config_check::run(&config_check::Flags { file, json: false }, None, Style::PLAIN);
    assert_eq!((reply.exit.code(), reply.out.as_str()), (3, ""));
    assert!(reply.err.contains("did you mean `version`?"), "{}", reply.err);
}

#[test]
fn terms_that_nobody_accepted_are_a_warning_with_its_line_and_cure() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &[u8]| {
        let file = Some(write(folder.path(), text, 0o644));
        config_check::run(&config_check::Flags { file, json: false }, None, Style::PLAIN)
    };
    let reply = check(b"version = 1\n[account]\nterms_accepted = false\n");
    assert_eq!(reply.exit, Exit::Done);
    let words = ["R0169", "account.terms_accepted", "renewd.toml:3:18", "terms_accepted = true"];
    for word in words {
        assert!(reply.err.contains(word), "{word}: {}", reply.err);
    }
    assert!(explain::page("R0169").is_some());
    assert!(check(b"version = 1\n").err.contains("renewd.toml:1:1"), "not written at all");
    assert_eq!(check(b"version = 1\n[account]\nterms_accepted = true\n").err, "");
}

#[test]
fn config_check_for_programs_names_line_field_cause_and_cure() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &[u8]| {
        let file = Some(write(folder.path(), text, 0o644));
        let reply =
            config_check::run(&config_check::Flags { file, json: true }, None, Style::PLAIN);
        let value: serde_json::Value = serde_json::from_str(&reply.out).unwrap();
        assert_eq!(
            (value["schema"].as_str(), reply.err.as_str()),
            (Some("renewd.config-check/1"), "")
        );
        (reply.exit, value["data"].clone())
    };
    let (exit, good) = check(b"version = 1\n[[certificate]]\ndomains = [\"example.org\"]\n");
    assert_eq!((exit, &good["valid"]), (Exit::Done, &true.into()));
    assert_eq!(good["certificates"][0]["domains"][0], "example.org");
    assert_eq!(good["warnings"][0]["code"], "R0169");
    let (exit, bad) = check(b"version = 1\n[[certificate]]\ndomains = [\"https://example.org\"]\n");
    assert_eq!((exit, &bad["valid"]), (Exit::Config, &false.into()));
    let told = &bad["errors"][0];
    assert_eq!((told["code"].as_str(), told["line"].as_u64()), (Some("R0103"), Some(3)));
    assert!(told["field"].as_str().unwrap().contains("domains"), "{told}");
    assert!(told["help"].as_str().unwrap().contains("leave out scheme"), "{told}");
}

struct Script {
    answers: Option<VecDeque<&'static str>>,
    said: Vec<String>,
}

impl Dialog for Script {
    fn is_interactive(&self) -> bool {
        self.answers.is_some()
    }

    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        self.said.push(question.to_owned());
        Ok(self.answers.as_mut().and_then(VecDeque::pop_front).map(str::to_owned))
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.said.push(line.to_owned());
        Ok(())
    }
}

fn nobody() -> Script {
    Script { answers: None, said: Vec::new() }
}

fn person(answers: &[&'static str]) -> Script {
    Script { answers: Some(answers.iter().copied().collect()), said: Vec::new() }
}

fn flags(folder: &Path) -> Flags {
    Flags {
        output: folder.join("etc/renewd.toml"),
        state_dir: folder.join("state"),
        ..Flags::default()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn init_asks_a_person_and_writes_a_file_that_means_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let flags = flags(folder.path());
    let mut person = person(&[
        "",
        "https://Example.org/ bücher.de",
        "y",
        "nobody",
        "ops@example.org",
        "127.0.0.1",
        "8443",
    ]);
    let reply = init::run(&flags, &mut person, Style::PLAIN);
    assert_eq!(reply.exit, Exit::Done, "{}", reply.err);
    let said = person.said.join("\n");
    assert!(said.contains("`https://Example.org/` is taken as example.org"), "{said}");
    assert!(said.contains("the @ is missing"), "{said}");
    let config = Config::load(&flags.output).unwrap();
    assert!(config.account.ca.known.unwrap().staging, "staging is offered first");
    assert!(config.account.terms_accepted);
    assert_eq!(config.account.email.unwrap().as_str(), "ops@example.org");
    let [certificate] = config.certificates.as_slice() else { panic!("one certificate") };
    assert_eq!(certificate.domains[1].to_string(), "bücher.de (xn--bcher-kva.de)");
    let [Bind::Builtin(bind)] = certificate.bindings.as_slice() else { panic!("one bind") };
    assert_eq!(bind.addresses, Addresses::These(vec!["127.0.0.1".parse().unwrap()]));
    assert_eq!(bind.port, 8443);
    let key = folder.path().join("state/vault.key");
    assert_eq!(config.vault, VaultKeySource::File(key.clone()));
    assert_eq!((mode(&flags.output), mode(&key)), (0o644, 0o600));
    assert_eq!(mode(&folder.path().join("state")), 0o700);
    assert_eq!(fs::read(&key).unwrap().len(), 45, "32 bytes in base64 and a line end");
}

#[test]
fn init_without_a_terminal_names_the_missing_flag_and_never_asks() {
    let folder = tempfile::tempdir().unwrap();
    let mut flags = flags(folder.path());
    let missing = |flags: &Flags| {
        let mut dialog = nobody();
        let reply = init::run(flags, &mut dialog, Style::PLAIN);
        assert_eq!(reply.exit, Exit::Usage, "{}", reply.err);
        assert!(dialog.said.is_empty(), "asked {:?}", dialog.said);
        reply.err
    };
    let all = missing(&flags);
    for flag in ["--ca letsencrypt-staging", "--domain", "--accept-terms"] {
        assert!(all.contains(flag), "all at once: {all}");
    }
    assert!(!all.contains("--ca-root"), "{all}");
    flags.ca = Some("https://ca.internal/directory".to_owned());
    assert!(missing(&flags).contains("--ca-root"), "a private CA needs one");
    flags.ca = Some("letsencrypt".to_owned());
    flags.accept_terms = Some(true);
    flags.domains = vec!["*.example.org".to_owned()];
    assert!(missing(&flags).contains("R0124"));
    flags.domains = vec!["example.org".to_owned()];
    assert_eq!(init::run(&flags, &mut nobody(), Style::PLAIN).exit, Exit::Done);
    assert!(Config::load(&flags.output).unwrap().account.terms_accepted);
}

#[test]
fn init_replaces_a_file_only_by_force_and_the_key_never() {
    let folder = tempfile::tempdir().unwrap();
    let mut flags = flags(folder.path());
    flags.ca = Some("letsencrypt".to_owned());
    flags.domains = vec!["example.org".to_owned()];
    flags.accept_terms = Some(false);
    assert_eq!(init::run(&flags, &mut nobody(), Style::PLAIN).exit, Exit::Done);
    let key = fs::read(folder.path().join("state/vault.key")).unwrap();
    let reply = init::run(&flags, &mut nobody(), Style::PLAIN);
    assert_eq!(reply.exit, Exit::Failed);
    assert!(reply.err.contains("R0171"), "{}", reply.err);
    flags.force = true;
    flags.port = Some(8443);
    let reply = init::run(&flags, &mut nobody(), Style::PLAIN);
    assert_eq!(reply.exit, Exit::Done, "{}", reply.err);
    assert!(fs::read_to_string(&flags.output).unwrap().contains("port = 8443"));
    assert_eq!(fs::read(folder.path().join("state/vault.key")).unwrap(), key);
    let said = format!("{}{}", reply.out, reply.err);
    assert!(!said.contains(String::from_utf8(key).unwrap().trim()), "the key was shown");
}

#[test]
fn init_gives_up_on_a_person_who_never_answers_well() {
    let folder = tempfile::tempdir().unwrap();
    let reply = init::run(&flags(folder.path()), &mut person(&["maybe"; 9]), Style::PLAIN);
    assert_eq!(reply.exit, Exit::Usage);
    assert!(reply.err.contains("--ca"), "{}", reply.err);
    assert!(!folder.path().join("etc").exists(), "nothing is written");
}

#[test]
fn a_path_is_in_one_line_however_narrow_the_screen_is() {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags {
        output: folder.path().join("a-rather-long-name/of-a-folder/with-more-below/renewd.toml"),
        ..flags(folder.path())
    };
    fs::create_dir_all(flags.output.parent().unwrap()).unwrap();
    fs::write(&flags.output, "").unwrap();
    let style = Style { columns: 60, ..Style::PLAIN };
    let reply = init::run(&flags, &mut nobody(), style);
    let path = format!("`{}`", flags.output.display());
    assert!(reply.err.contains(&path), "{}", reply.err);
    let config = Config::load(&folder.path().join("a-rather-long-name/which-is-not-there.toml"));
    let told = config.unwrap_err().render(style);
    assert!(told.contains("a-rather-long-name/which-is-not-there.toml"), "{told}");
}

#[test]
fn init_for_a_private_ca_writes_its_root() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.pem");
    let mut flags = Flags {
        ca: Some("https://ca.internal/directory".to_owned()),
        domains: vec!["example.org".to_owned()],
        accept_terms: Some(true),
        ca_root: Some(file.clone()),
        ..flags(folder.path())
    };
    let reply = init::run(&flags, &mut nobody(), Style::PLAIN);
    assert_eq!(reply.exit, Exit::Usage, "{}", reply.err);
    assert!(reply.err.contains("R0174") && reply.err.contains("system"), "{}", reply.err);
    fs::write(&file, "").unwrap();
    let reply = init::run(&flags, &mut nobody(), Style::PLAIN);
    assert_eq!(reply.exit, Exit::Done, "{}", reply.err);
    assert!(reply.out.contains("key_credential"), "where the key is better: {}", reply.out);
    let written = fs::read_to_string(&flags.output).unwrap();
    assert!(written.contains("ca_root_file = ") && written.contains("root.pem"), "{written}");
    (flags.ca_root, flags.force) = (Some("system".into()), true);
    assert_eq!(init::run(&flags, &mut nobody(), Style::PLAIN).exit, Exit::Done);
    assert!(!fs::read_to_string(&flags.output).unwrap().contains("ca_root_file ="));
}
