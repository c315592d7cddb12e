//! A log can be handed to a stranger: what a private key looks like is looked for everywhere but in the
//! vault and in the files made for another program.

use std::fs;
use std::path::Path;

use renewd_tests::site::{Place, Plan, Site, Wanted};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::check;

/// Bytes of a P-256 PKCS#8 key that say nothing of it: version, algorithm, lengths.
const KEY_HEADER_OCTETS: usize = 36;

/// The private scalar as it could be written down.
fn forms(pkcs8: &[u8]) -> Vec<Vec<u8>> {
    let scalar = &pkcs8[KEY_HEADER_OCTETS..KEY_HEADER_OCTETS + 32];
    let hex: String = scalar.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = scalar.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    vec![scalar.to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes(), list.into()]
}

fn search(path: &Path, forms: &[Vec<u8>], found: &mut Vec<String>, seen: &mut usize) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            search(&entry.unwrap().path(), forms, found, seen);
        }
    } else if path.is_file() {
        let bytes = fs::read(path).unwrap();
        *seen += 1;
        if forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form)) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn no_private_key_is_in_the_log_an_export_or_what_is_printed() {
    let bind = "target = \"files\"\ndirectory = \"tls\"";
    let wanted = Wanted::new("site", &["site.test"]).unwrap().at(Place::Bind(bind.to_owned()));
    let site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let folder = site.host.folder().to_owned();
    let key = fs::read(folder.join("tls/current/privkey.pem")).unwrap();
    let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(&key).unwrap() else {
        panic!("the key file is PKCS#8")
    };
    let key: PrivatePkcs8KeyDer<'_> = key;
    let forms = forms(key.secret_pkcs8_der());
    for format in ["export.rlog", "export.json"] {
        let file = folder.join(format).display().to_string();
        let mut arguments = vec!["log", "export", file.as_str()];
        if format == "export.json" {
            arguments.extend(["--format", "otlp-json"]);
        }
        assert_eq!(site.host.run(&arguments).unwrap().code, Some(0));
    }
    let printed = [
        renewd.stderr(),
        renewd.stdout(),
        site.host.run(&["log", "cat", "--json"]).unwrap().stdout,
    ];
    site.host.write("printed", printed.join("\n")).unwrap();
    check::stop(renewd);
    let (mut found, mut seen) = (Vec::new(), 0);
    search(&folder, &forms, &mut found, &mut seen);
    assert!(seen > 10, "only {seen} files were looked at");
    let generations = folder.join("tls/generations").display().to_string();
    // The vault is sealed, so not even there.
    found.retain(|path| !path.starts_with(&generations));
    assert_eq!(found, Vec::<String>::new());
    let plain = fs::read(folder.join("tls/current/privkey.pem")).unwrap();
    assert!(
        String::from_utf8_lossy(&plain).contains("PRIVATE KEY"),
        "the search would find nothing"
    );
}
