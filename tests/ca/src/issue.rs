//! Certificates: two roots, one intermediate certified by both, leaves signed from a CSR.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateSigningRequestDer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::clock;
use crate::jws;
use crate::problem::Problem;

/// The issuing half of the CA.
#[derive(Debug)]
pub(crate) struct Issuing {
    intermediate: Issuer<'static, KeyPair>,
    intermediate_pem: String,
    cross_pem: String,
    /// Root of the default chain.
    pub(crate) root_pem: String,
    /// Root of the alternate chain.
    pub(crate) alternate_root_pem: String,
}

/// A certificate just signed.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) chain_pem: String,
    pub(crate) alternate_chain_pem: String,
    pub(crate) der: Vec<u8>,
    pub(crate) subject_key: Vec<u8>,
    /// RFC 9773 §4.1: base64url(AKI) "." base64url(serial as in the DER).
    pub(crate) ari_id: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Issuing {
    /// Makes all keys.
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let (root_pem, root) = make_root("renewd test root A")?;
        let (alternate_root_pem, alternate_root) = make_root("renewd test root B")?;
        let key = KeyPair::generate()?;
        let mut params = ca_params("renewd test intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let intermediate_pem = params.signed_by(&key, &root)?.pem();
        let cross_pem = params.signed_by(&key, &alternate_root)?.pem();
        Ok(Self {
            intermediate: Issuer::new(params, key),
            intermediate_pem,
            cross_pem,
            root_pem,
            alternate_root_pem,
        })
    }

    /// Signs a leaf for exactly `names`, from an instant on. `serial` are 16 random bytes.
    pub(crate) fn issue(
        &self,
        csr: &Csr,
        names: &[String],
        (from, lifetime): (SystemTime, Duration),
        serial: &[u8],
    ) -> Result<Issued, Problem> {
        let not_before = clock::whole_second(from);
        let not_after = not_before + lifetime;
        let mut leaf = CertificateParams::new(names.to_vec()).map_err(internal)?;
        leaf.distinguished_name = DistinguishedName::new(); // names live in the SAN alone
        leaf.serial_number = Some(SerialNumber::from_slice(serial));
        // rcgen speaks `time`, whose epoch we can name and add to without that dependency.
        leaf.not_before = date_time_ymd(1970, 1, 1) + clock::since_epoch(not_before);
        leaf.not_after = date_time_ymd(1970, 1, 1) + clock::since_epoch(not_after);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&csr.0.public_key, &self.intermediate).map_err(internal)?;
        Ok(Issued {
            chain_pem: format!("{}{}", leaf.pem(), self.intermediate_pem),
            alternate_chain_pem: format!("{}{}", leaf.pem(), self.cross_pem),
            der: leaf.der().to_vec(),
            subject_key: csr.subject_key().to_vec(),
            ari_id: ari_id(leaf.der())?,
            not_before,
            not_after,
        })
    }
}

/// A CSR whose self-signature holds.
pub(crate) struct Csr(CertificateSigningRequestParams);

impl Csr {
    /// Parses DER and checks the signature.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, Problem> {
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map(Self)
            .map_err(|cause| bad_csr(&format!("cannot be read: {cause}")))
    }

    /// The key, as the bit string of the subject public key info.
    pub(crate) fn subject_key(&self) -> &[u8] {
        rcgen::PublicKeyData::der_bytes(&self.0.public_key)
    }

    /// Whether it asks for these names and nothing else (RFC 8555 §7.4).
    pub(crate) fn check_names(&self, names: &[String]) -> Result<(), Problem> {
        let params = &self.0.params;
        if params.is_ca != IsCa::NoCa && params.is_ca != IsCa::ExplicitNoCa {
            return Err(bad_csr("asks for a CA certificate"));
        }
        let mut asked = Vec::new();
        for name in &params.subject_alt_names {
            let SanType::DnsName(name) = name else {
                return Err(bad_csr(&format!("holds a name that is not DNS: {name:?}")));
            };
            asked.push(name.as_str().to_ascii_lowercase());
        }
        if let Some(common_name) = params.distinguished_name.get(&DnType::CommonName)
            && !asked.contains(&text_of(common_name))
        {
            return Err(bad_csr("common name is not among its alternative names"));
        }
        asked.sort();
        let mut wanted = names.to_vec();
        wanted.sort();
        if asked == wanted {
            Ok(())
        } else {
            Err(bad_csr(&format!("names {asked:?}, the order names {wanted:?}")))
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign and non_exhaustive; an encoding not read here never equals a name"
)]
fn text_of(value: &DnValue) -> String {
    let text = match value {
        DnValue::Utf8String(text) => text.as_str(),
        DnValue::PrintableString(text) => text.as_str(),
        DnValue::Ia5String(text) => text.as_str(),
        _ => "",
    };
    text.to_ascii_lowercase()
}

fn make_root(name: &str) -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let params = ca_params(name);
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Computed from the DER, as a client must do it.
fn ari_id(der: &[u8]) -> Result<String, Problem> {
    let unreadable = || Problem::internal("the certificate just signed cannot be read");
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
    let key_id = certificate
        .extensions()
        .iter()
        .find_map(|extension| {
            let ParsedExtension::AuthorityKeyIdentifier(aki) = extension.parsed_extension() else {
                return None;
            };
            aki.key_identifier.as_ref()
        })
        .ok_or_else(unreadable)?;
    let serial = jws::encode(certificate.raw_serial());
    Ok(format!("{}.{serial}", jws::encode(key_id.0)))
}

fn internal(cause: rcgen::Error) -> Problem {
    Problem::internal(format!("signing failed: {cause}"))
}

fn bad_csr(why: &str) -> Problem {
    Problem::new(400, "badCSR", format!("the CSR {why}"))
}
