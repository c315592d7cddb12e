//! Serves a test CA until Ctrl-C, for trying a foreign client by hand.
//!
//! `cargo run -p renewd-testca --example serve -- 127.0.0.1:14000 127.0.0.1:5002 root.pem`:
//! HTTPS address, http-01 address of the client, file for the web root. Then, for instance,
//! `LEGO_CA_CERTIFICATES=root.pem lego --server https://127.0.0.1:14000/directory …`.
//! At the end it tells what it saw.

use std::error::Error;
use std::io::Write as _;

use renewd_testca::{Options, TestCa};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: serve HTTPS_ADDRESS HTTP01_ADDRESS ROOT_FILE";
    let (Some(listen), Some(http01), Some(root)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(usage.into());
    };
    let options = Options {
        listen: listen.parse()?,
        http01_target: http01.parse()?,
        nonce_reject_percent: 5, // as Pebble
        ..Options::default()
    };
    let ca = TestCa::start(options).await?;
    tokio::fs::write(&root, ca.root_pem()).await?;
    let mut out = std::io::stdout();
    writeln!(out, "directory {}, web root in {root}", ca.directory_url())?;
    tokio::signal::ctrl_c().await?;
    writeln!(out, "{:#?}", ca.counts())?;
    for violation in ca.violations() {
        writeln!(out, "violation: {violation}")?;
    }
    ca.shutdown().await;
    Ok(())
}
