//! What a start that is refused leaves behind, and how the end of the last life is told.

use std::path::PathBuf;

use super::*;
use crate::acme::Roots;
use crate::settings::AccountSettings;
use crate::vault::{KeySource, make_key_file};
use renewd_events::log::Torn;

fn settings(folder: &Path, key: &str) -> Settings {
    let account = AccountSettings {
        directory_url: "https://ca.test/dir".to_owned(),
        contacts: Vec::new(),
        terms_accepted: true,
        roots: Roots::Native,
    };
    let mut settings =
        Settings::new(folder.join("state"), account, KeySource::File(folder.join(key)));
    settings.http_listen = Vec::new();
    settings
}

fn extras() -> Extras {
    Extras { observers: Vec::new(), page: None, lines: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_wrong_key_leaves_the_log_closed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    for key in ["key", "other"] {
        make_key_file(&folder.path().join(key)).unwrap();
    }
    let running = start(&settings(folder.path(), "key"), extras()).await.unwrap();
    running.stop(StopReason::Asked).await.unwrap();
    let refused = start(&settings(folder.path(), "other"), extras()).await.unwrap_err();
    assert!(matches!(refused, StartError::Vault(_)), "{refused}");
    let (_, opened) = SledLog::open(&folder.path().join("state").join(LOG)).unwrap();
    assert!(opened.clean, "{opened:?}");
}

#[test]
fn an_unclean_end_is_told_in_words() {
    let crashed = Opened { clean: false, ..Opened::default() };
    assert_eq!(crash(&crashed), "no event is lost");
    let torn = Torn { seq: Seq(8), octets: 31, kept: PathBuf::from("torn-8") };
    let all = Opened { beyond_anchor: 2, torn: Some(torn), ..crashed };
    assert_eq!(
        crash(&all),
        "no acknowledged event is lost; 2 that were written and not acknowledged count; the write of \
         event 8 was torn, its 31 octets are kept in torn-8"
    );
}
