//! The certificate of Pebble's own listener: a root made for one test, and a leaf below it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::error::HarnessError;

/// What Pebble's listener shows, and the root a client must trust.
pub(super) struct ListenerCertificate {
    pub(super) root_pem: String,
    pub(super) leaf_pem: String,
    pub(super) leaf_key_pem: String,
}

/// A fresh root and a leaf for `localhost` and 127.0.0.1.
pub(super) fn make() -> Result<ListenerCertificate, HarnessError> {
    let root_key = KeyPair::generate().map_err(refused())?;
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "root of one renewd test");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_pem = root.self_signed(&root_key).map_err(refused())?.pem();

    let leaf_key = KeyPair::generate().map_err(refused())?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names).map_err(refused())?;
    let issuer = Issuer::new(root, root_key);
    let leaf_pem = leaf.signed_by(&leaf_key, &issuer).map_err(refused())?.pem();
    Ok(ListenerCertificate { root_pem, leaf_pem, leaf_key_pem: leaf_key.serialize_pem() })
}

fn refused() -> impl FnOnce(rcgen::Error) -> HarnessError {
    HarnessError::tls("Pebble's own certificate")
}
