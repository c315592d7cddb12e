//! What a downloaded chain says (RFC 8555 §7.4.2, RFC 8555 §9.1): parsed, bounded, its first
//! certificate signed by the second. Whether it is what was asked for is decided by others.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use renewd_events::certificate::Leaf;
use renewd_events::id::Hash;
use renewd_events::problem::{Problem, ProblemClass, cut};
use renewd_events::time::WallMs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

use super::renewal_info::ARI_ID_OCTETS_MAX;

/// The longest public chain has four certificates.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;
/// Ten large RSA certificates fit three times.
pub const CHAIN_OCTETS_MAX: usize = 256 * 1024;
/// Names in one certificate: an order has no more.
const NAMES_MAX: usize = 100;
/// The longest DNS name.
const NAME_OCTETS_MAX: usize = 253;
/// 20 octets, and one for the sign of a careless CA.
const SERIAL_OCTETS_MAX: usize = 21;
/// Stands in the first and the last line of every PEM private key.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
/// An issuer's name, as text for people.
const ISSUER_OCTETS_MAX: usize = 512;

/// Reads a PEM chain. `chain` of the result is the SHA-256 of the text.
///
/// # Errors
/// [`ProblemClass::Protocol`] with kind `chain`, or `private-key-in-chain`; the text of the chain is
/// not repeated.
pub fn read(pem: &str) -> Result<Leaf, Problem> {
    if pem.len() > CHAIN_OCTETS_MAX {
        return Err(bad("it is larger than 256 KiB"));
    }
    let blocks = blocks(pem)?;
    let mut certificates = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        let (rest, certificate) = parse_x509_certificate(&block.contents)
            .map_err(|cause| bad(&format!("certificate {} cannot be read: {cause}", place + 1)))?;
        if !rest.is_empty() {
            return Err(bad(&format!("certificate {} has octets behind it", place + 1)));
        }
        certificates.push(certificate);
    }
    let [leaf, issuers @ ..] = certificates.as_slice() else {
        return Err(bad("it holds no certificate"));
    };
    if let Some(issuer) = issuers.first() {
        check_signature(leaf, issuer)?;
    }
    let names = names(leaf);
    let octets: usize = names.iter().map(String::len).sum();
    if names.len() > NAMES_MAX || octets > NAMES_MAX * NAME_OCTETS_MAX {
        return Err(bad("it is for more than 100 names"));
    }
    if leaf.raw_serial().len() > SERIAL_OCTETS_MAX {
        return Err(bad("its serial number has more than 20 octets (RFC 5280 §4.1.2.2)"));
    }
    let der = blocks.first().map_or(&[][..], |block| &block.contents);
    Ok(Leaf {
        chain: Hash::of(pem.as_bytes()),
        fingerprint: Hash::of(der),
        spki: Hash::of(leaf.public_key().raw),
        serial: hex(leaf.raw_serial()),
        ari_id: ari_id(leaf),
        not_before: WallMs::from_seconds(leaf.validity().not_before.timestamp()),
        not_after: WallMs::from_seconds(leaf.validity().not_after.timestamp()),
        issuer: cut(&leaf.issuer().to_string(), ISSUER_OCTETS_MAX),
        names,
        certificates: u8::try_from(certificates.len()).unwrap_or(u8::MAX),
    })
}

/// CERTIFICATE blocks and nothing else; text between them is allowed.
fn blocks(pem: &str) -> Result<Vec<Pem>, Problem> {
    // Anywhere: a line that begins no block is skipped by the reader, and would be stored.
    if pem.contains(PRIVATE_KEY) {
        let detail =
            "the chain holds a private key; it is not stored, and such a CA is not trusted";
        return Err(Problem::new(ProblemClass::Protocol, "private-key-in-chain", detail));
    }
    let mut blocks = Vec::new();
    for block in Pem::iter_from_buffer(pem.as_bytes()) {
        let block = block.map_err(|cause| bad(&format!("it is not PEM: {cause}")))?;
        if block.label != "CERTIFICATE" {
            return Err(bad(&format!("it holds a block `{}`", cut(&block.label, 64))));
        }
        if blocks.len() >= CHAIN_CERTIFICATES_MAX {
            return Err(bad("it holds more than 10 certificates"));
        }
        blocks.push(block);
    }
    // The servers read it by stricter rules: what was checked must be what they serve.
    let served = CertificateDer::pem_slice_iter(pem.as_bytes());
    let served: Vec<_> = served.collect::<Result<_, _>>().map_err(|_| bad("it is not PEM"))?;
    let same = blocks.iter().map(|block| block.contents.as_slice());
    match same.eq(served.iter().map(AsRef::as_ref)) {
        true => Ok(blocks),
        false => Err(bad("its PEM can be read in two ways")),
    }
}

/// A signature algorithm that we cannot check is left to the visitors' own check.
fn check_signature(
    leaf: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), Problem> {
    if leaf.issuer() != issuer.subject() {
        return Err(bad(&format!(
            "its order is wrong: the first certificate was issued by `{}`, the second is `{}`",
            cut(&leaf.issuer().to_string(), ISSUER_OCTETS_MAX),
            cut(&issuer.subject().to_string(), ISSUER_OCTETS_MAX),
        )));
    }
    match leaf.verify_signature(Some(issuer.public_key())) {
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => Ok(()),
        Err(cause) => Err(bad(&format!("the second certificate did not sign the first: {cause}"))),
    }
}

/// RFC 9773 §4.1: key identifier of the issuer and serial number, each base64url of its octets.
fn ari_id(leaf: &X509Certificate<'_>) -> Option<String> {
    let key = leaf.iter_extensions().find_map(|extension| {
        if let ParsedExtension::AuthorityKeyIdentifier(aki) = extension.parsed_extension() {
            aki.key_identifier.as_ref().map(|id| id.0)
        } else {
            None
        }
    })?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    // A longer one cannot be asked about; a certificate without one can be renewed as well.
    let id = format!("{}.{}", encode(key), encode(leaf.raw_serial()));
    (id.len() <= ARI_ID_OCTETS_MAX).then_some(id)
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = extension
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default()
        .iter()
        .filter_map(|name| {
            if let GeneralName::DNSName(name) = name {
                Some(name.to_ascii_lowercase())
            } else {
                None
            }
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bad(cause: &str) -> Problem {
    let detail = format!("the chain is not what RFC 8555 §7.4.2 asks for: {cause}");
    Problem::new(ProblemClass::Protocol, "chain", &detail)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};

    use super::*;

    struct Made {
        leaf: String,
        issuer: String,
        key: KeyPair,
    }

    fn made() -> Made {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "test root");
        let issuer = root.self_signed(&root_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(["b.test".to_owned(), "a.test".to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        leaf.serial_number = Some(SerialNumber::from(vec![0x87, 0x65, 0x43, 0x21]));
        let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap().pem();
        Made { leaf, issuer, key }
    }

    #[test]
    fn the_facts_of_a_chain_are_those_of_its_first_certificate() {
        let made = made();
        let pem = format!("{}some text\r\n{}", made.leaf, made.issuer);
        let leaf = read(&pem).unwrap();
        assert_eq!(leaf.chain, Hash::of(pem.as_bytes()));
        assert_eq!(leaf.names, ["a.test", "b.test"]);
        assert_eq!(leaf.certificates, 2);
        assert_eq!(leaf.spki, spki(&made.key));
        // The example of RFC 9773 §4.1: a serial whose first bit is set keeps its leading zero.
        assert_eq!(leaf.serial, "0087654321");
        assert!(leaf.ari_id.unwrap().ends_with(".AIdlQyE"));
        assert!(leaf.issuer.contains("test root"));
        assert!(leaf.not_before < leaf.not_after);
    }

    fn spki(key: &KeyPair) -> Hash {
        use rcgen::PublicKeyData;
        Hash::of(&key.subject_public_key_info())
    }

    #[test]
    fn chains_that_are_not_one_are_refused_with_the_reason() {
        let (one, other) = (made(), made());
        let key = one.key.serialize_pem();
        let request =
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (pem, kind, word) in [
            (String::new(), "chain", "no certificate"),
            ("<html>".to_owned(), "chain", "no certificate"),
            (format!("{}{}", one.issuer, one.leaf), "chain", "order"),
            (format!("{}{}", one.leaf, other.issuer), "chain", "did not sign"),
            (format!("{}{key}", one.leaf), "private-key-in-chain", "private key"),
            (format!("{}{request}", one.leaf), "chain", "CERTIFICATE REQUEST"),
            (garbage.to_owned(), "chain", "cannot be read"),
            (one.leaf.repeat(11), "chain", "more than 10"),
            (" ".repeat(CHAIN_OCTETS_MAX + 1), "chain", "larger"),
        ] {
            let problem = read(&pem).unwrap_err();
            assert_eq!(problem.kind, kind, "{}", problem.detail);
            assert!(problem.detail.contains(word), "{}", problem.detail);
            assert!(!problem.detail.contains("BEGIN"));
        }
    }
}
