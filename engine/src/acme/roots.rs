//! Whom to trust when talking to a CA: the system's roots, or one file and nothing else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use renewd_events::problem::{Problem, ProblemClass};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::settings::Roots;

/// A root file larger than this is not one: the whole Mozilla list has 220 KiB.
const ROOT_FILE_OCTETS_MAX: u64 = 1024 * 1024;

/// TLS for a client that trusts `roots`.
///
/// # Errors
/// Names the file and what is wrong with it.
pub(crate) fn tls(roots: &Roots) -> Result<ClientConfig, Problem> {
    let config = match roots {
        Roots::Native => builder("the system's roots")?
            .with_native_roots()
            .map_err(|cause| bad("the system's roots", &cause.to_string()))?,
        Roots::File(path) => {
            builder(&path.display().to_string())?.with_root_certificates(store(path)?)
        }
    };
    Ok(config.with_no_client_auth())
}

fn builder(subject: &str) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Problem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| bad(subject, &cause.to_string()))
}

fn store(path: &Path) -> Result<RootCertStore, Problem> {
    let shown = path.display().to_string();
    let octets = fs::metadata(path).map_err(|cause| bad(&shown, &cause.to_string()))?;
    if octets.len() > ROOT_FILE_OCTETS_MAX {
        return Err(bad(&shown, "it is larger than 1 MiB; that is no root file"));
    }
    let pem = fs::read(path).map_err(|cause| bad(&shown, &cause.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|cause| bad(&shown, &cause.to_string()))?;
        store.add(certificate).map_err(|cause| bad(&shown, &cause.to_string()))?;
    }
    match store.is_empty() {
        true => Err(bad(&shown, "it holds no PEM certificate")),
        false => Ok(store),
    }
}

fn bad(subject: &str, cause: &str) -> Problem {
    let detail = format!("the roots for the CA's certificate cannot be used: {cause}");
    Problem::new(ProblemClass::Local, "ca-roots", &detail).about(subject)
}
