//! The demo's folder: configuration, vault key, the CA's root, the engine's state and its log lines.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::DemoError;
use crate::cli::init::make_key;

/// Names to try for the temporary folder. Only demos that were killed leave one behind.
const FOLDER_TRIES: u32 = 100;
/// The folder holds keys.
const FOLDER_MODE: u32 = 0o700;
/// A configuration that others may write is refused by `renewd run`.
const FILE_MODE: u32 = 0o644;

/// A folder; removed with the value unless it is to be kept.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    keep: bool,
}

/// What the configuration of the demo says.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    /// The CA's directory.
    pub(super) ca: &'a str,
    /// PEM of the root that certified the CA's own HTTPS.
    pub(super) ca_root: &'a str,
    /// The certificate's name in the configuration.
    pub(super) certificate: &'a str,
    /// The DNS names in it.
    pub(super) names: &'a [&'a str],
    /// Where the certificate is served.
    pub(super) site: SocketAddr,
    /// Where http-01 challenges are answered.
    pub(super) responder: SocketAddr,
    /// Where the status page is.
    pub(super) admin: SocketAddr,
}

impl Place {
    /// A fresh folder below the system's temporary one.
    pub(super) fn temporary() -> Result<Self, DemoError> {
        let base = std::env::temp_dir();
        let mut last = None;
        for number in 0..FOLDER_TRIES {
            let folder = base.join(format!("renewd-demo-{}-{number}", std::process::id()));
            // Not recursive: an existing folder, or a link somebody laid there, is refused.
            match DirBuilder::new().mode(FOLDER_MODE).create(&folder) {
                Ok(()) => {
                    return Ok(Self { folder, keep: false });
                }
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => last = Some(cause),
                Err(cause) => return Err(DemoError::io("make", folder.display())(cause)),
            }
        }
        let cause = last.unwrap_or_else(|| ErrorKind::AlreadyExists.into());
        Err(DemoError::io("make a folder in", base.display())(cause))
    }

    /// The same folder, to stay.
    pub(super) fn keep(mut self) -> Self {
        self.keep = true;
        self
    }

    /// This folder, to stay. It may exist, but only empty.
    pub(super) fn kept(folder: &Path) -> Result<Self, DemoError> {
        let failed = |act| DemoError::io(act, folder.display());
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
            .map_err(failed("make"))?;
        let folder = folder.canonicalize().map_err(failed("find"))?;
        let mut entries = fs::read_dir(&folder).map_err(failed("read"))?;
        if entries.next().is_some() {
            return Err(DemoError::NotEmpty { folder });
        }
        Ok(Self { folder, keep: true })
    }

    /// Writes key, root and configuration.
    pub(super) fn furnish(&self, setup: &Setup<'_>) -> Result<(), DemoError> {
        let state = self.state();
        DirBuilder::new()
            .mode(FOLDER_MODE)
            .create(&state)
            .map_err(DemoError::io("make", state.display()))?;
        let key = state.join("vault.key");
        make_key(&key).map_err(DemoError::io("write", key.display()))?;
        write(&self.ca_root(), setup.ca_root)?;
        write(&self.config(), &self.text(setup))
    }

    fn text(&self, setup: &Setup<'_>) -> String {
        // A path in quotes: Debug escapes what TOML would misread.
        let (state, root) = (self.state(), self.ca_root());
        format!(
            "# Written by `renewd demo`.\n\
             version = 1\n\
             state_dir = {state:?}\n\n\
             [account]\n\
             ca = \"{}\"\n\
             ca_root_file = {root:?}\n\
             terms_accepted = true\n\n\
             [[certificate]]\n\
             name = \"{}\"\n\
             domains = {:?}\n\
             [certificate.bind]\n\
             target = \"builtin\"\n\
             address = \"{}\"\n\
             port = {}\n\n\
             [http]\n\
             listen = [\"{}\"]\n\n\
             [admin]\n\
             listen = \"{}\"\n",
            setup.ca,
            setup.certificate,
            setup.names,
            setup.site.ip(),
            setup.site.port(),
            setup.responder,
            setup.admin,
        )
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it stays.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("renewd.toml")
    }

    /// The engine's state directory.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The engine's log lines.
    pub(super) fn lines(&self) -> PathBuf {
        self.folder.join("renewd.log")
    }

    fn ca_root(&self) -> PathBuf {
        self.folder.join("ca-root.pem")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing is left to do about a temporary folder that cannot be removed.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let failed = || DemoError::io("write", path.display());
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed())?
        .write_all(text.as_bytes())
        .map_err(failed())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::Config;

    fn local(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_is_a_configuration_that_run_takes() {
        let options = renewd_testca::Options::default();
        let ca = renewd_testca::TestCa::start(options).await.unwrap();
        let place = Place::temporary().unwrap();
        let setup = Setup {
            ca: &ca.directory_url(),
            ca_root: ca.root_pem(),
            certificate: "demo",
            names: &["demo.renewd.test", "www.demo.renewd.test"],
            site: local(8443),
            responder: local(8080),
            admin: local(9091),
        };
        place.furnish(&setup).unwrap();
        let config = match Config::load(&place.config()) {
            Ok(config) => config,
            Err(errors) => panic!("{}", errors.render(crate::config::Style::PLAIN)),
        };
        assert_eq!(config.state_dir, place.state());
        assert!(config.account.terms_accepted);
        assert_eq!(config.certificates[0].domains.len(), 2);
        assert_eq!(config.admin.listen, Some(setup.admin));
        let folder = place.folder().to_owned();
        drop(place);
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "x").unwrap();
        let refused = Place::kept(folder.path()).unwrap_err();
        assert!(matches!(refused, DemoError::NotEmpty { .. }), "{refused}");
        assert!(folder.path().join("mine").exists());
    }
}
