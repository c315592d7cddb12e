//! Keys and what is public of them: the thumbprint (RFC 7638), the CSR (RFC 2986). All are P-256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DistinguishedName, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use renewd_actors::ports::KeyFacts;
use renewd_events::certificate::KeyRequest;
use renewd_events::id::{Fingerprint, sha256_plain};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use super::error::VaultError;

/// A new P-256 key, PKCS#8 DER.
pub(super) fn generate() -> Result<Zeroizing<Vec<u8>>, VaultError> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map(|document| Zeroizing::new(document.as_ref().to_vec()))
        .map_err(|_| VaultError::Crypto("a P-256 key cannot be made".to_owned()))
}

/// The RFC 7638 thumbprint of an account key, base64url: what follows the dot in a key
/// authorization (RFC 8555 §8.1).
pub(super) fn thumbprint(pkcs8: &[u8]) -> Result<String, VaultError> {
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
            .map_err(|cause| {
                VaultError::Crypto(format!("the account key is not P-256: {cause}"))
            })?;
    jwk_thumbprint(pair.public_key().as_ref())
        .ok_or_else(|| VaultError::Crypto("the public key is not an uncompressed point".to_owned()))
}

/// Of an uncompressed point: 4, then x and y of 32 octets each. The members are in the order that
/// RFC 7638 §3.3 asks for.
fn jwk_thumbprint(point: &[u8]) -> Option<String> {
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Some(URL_SAFE_NO_PAD.encode(sha256_plain(jwk.as_bytes())))
}

/// The public key's hash and a CSR with an empty subject and the names as SANs. Signatures are
/// random: two CSRs of one key differ in bytes and mean the same.
pub(super) fn facts(pkcs8: &[u8], request: &KeyRequest) -> Result<KeyFacts, VaultError> {
    let cannot = |cause: rcgen::Error| {
        VaultError::Crypto(format!("no CSR can be made with the key {}: {cause}", request.key_ref))
    };
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(pkcs8),
        &PKCS_ECDSA_P256_SHA256,
    )
    .map_err(cannot)?;
    let names: Vec<String> =
        request.identifiers.iter().map(|name| name.as_str().to_owned()).collect();
    let mut parameters = CertificateParams::new(names).map_err(cannot)?;
    // The default would put rcgen's own name into it.
    parameters.distinguished_name = DistinguishedName::new();
    let csr = parameters.serialize_request(&key).map_err(cannot)?;
    Ok(KeyFacts { spki: Fingerprint::of(&key.subject_public_key_info()), csr: csr.der().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_the_key_in_rfc_7515_a3() {
        let x = URL_SAFE_NO_PAD.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap();
        let y = URL_SAFE_NO_PAD.decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap();
        let point = [&[4], x.as_slice(), &y].concat();
        assert_eq!(jwk_thumbprint(&point).unwrap(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        assert_eq!(jwk_thumbprint(&point[1..]), None);
    }
}
