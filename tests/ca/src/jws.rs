//! Flattened JSON Web Signatures (RFC 7515, RFC 8555 §6.2) and the keys that make them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, signature};
use serde::Deserialize;
use serde_json::Value;

use crate::problem::Problem;

/// A signed request, taken apart but not yet believed.
#[derive(Debug)]
pub(crate) struct Jws {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
    signing_input: String,
    signature: Vec<u8>,
}

/// The protected header.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) nonce: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) jwk: Option<Value>,
    pub(crate) kid: Option<String>,
}

/// The body as sent: the flattened form, an unprotected header is refused (RFC 8555 §6.2).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

impl Jws {
    /// Takes a body apart.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let flat: Flattened = serde_json::from_slice(body)
            .map_err(|cause| Problem::malformed(format!("not a flattened JWS: {cause}")))?;
        let header = serde_json::from_slice(&decode("protected", &flat.protected)?)
            .map_err(|cause| Problem::malformed(format!("JWS protected header: {cause}")))?;
        Ok(Self {
            header,
            payload: decode("payload", &flat.payload)?,
            signature: decode("signature", &flat.signature)?,
            signing_input: format!("{}.{}", flat.protected, flat.payload),
        })
    }

    /// Whether `key` made this signature, by the algorithm the header names.
    pub(crate) fn verify(&self, key: &Key) -> Result<(), Problem> {
        let (input, alg) = (self.signing_input.as_bytes(), self.header.alg.as_str());
        let verified =
            match (key, alg) {
                (Key::P256 { point, .. }, "ES256") => {
                    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                        .verify(input, &self.signature)
                }
                (Key::Rsa { n, e, .. }, "RS256") => signature::RsaPublicKeyComponents { n, e }
                    .verify(&signature::RSA_PKCS1_2048_8192_SHA256, input, &self.signature),
                (Key::P256 { .. }, _) => return Err(bad_algorithm(alg, "an EC P-256", "ES256")),
                (Key::Rsa { .. }, _) => return Err(bad_algorithm(alg, "an RSA", "RS256")),
            };
        verified.map_err(|_| Problem::malformed("JWS verification error: wrong signature"))
    }
}

/// A public key that signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// EC P-256: the uncompressed point, which is also what a certificate holds.
    P256 { point: Vec<u8>, thumbprint: String },
    /// RSA, which some clients still use for accounts.
    Rsa { n: Vec<u8>, e: Vec<u8>, thumbprint: String },
}

impl Key {
    /// The key of a JWK. Members beyond the required ones are ignored (RFC 7517 §4).
    pub(crate) fn from_jwk(jwk: &Value) -> Result<Self, Problem> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let member = |name: &str| text(name).ok_or_else(|| bad_key(&format!("no `{name}`")));
        match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => {
                let (x, y) = (member("x")?, member("y")?);
                let mut point = vec![4]; // uncompressed (SEC 1 §2.3.3)
                point.extend(coordinate(x)?);
                point.extend(coordinate(y)?);
                // RFC 7638 §3: required members in this order, no spaces.
                let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
                Ok(Self::P256 { point, thumbprint: sha256(&canonical) })
            }
            (Some("RSA"), _) => {
                let (n, e) = (member("n")?, member("e")?);
                let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
                Ok(Self::Rsa {
                    n: decode("jwk", n)?,
                    e: decode("jwk", e)?,
                    thumbprint: sha256(&canonical),
                })
            }
            _ => Err(bad_key("only EC P-256 and RSA keys are supported")),
        }
    }

    /// RFC 7638 thumbprint, base64url.
    pub(crate) fn thumbprint(&self) -> &str {
        match self {
            Self::P256 { thumbprint, .. } | Self::Rsa { thumbprint, .. } => thumbprint,
        }
    }

    /// Whether a certificate's subject public key (its bit string) is this key. RSA keys are not
    /// compared: they would need DER, and no client here certifies its account key.
    pub(crate) fn is_subject(&self, subject_key: &[u8]) -> bool {
        match self {
            Self::P256 { point, .. } => point == subject_key,
            Self::Rsa { .. } => false,
        }
    }
}

fn coordinate(text: &str) -> Result<Vec<u8>, Problem> {
    let bytes = decode("jwk", text)?;
    if bytes.len() == 32 { Ok(bytes) } else { Err(bad_key("a P-256 coordinate has 32 bytes")) }
}

/// base64url without padding, as RFC 8555 §6.1 wants it; `what` names it in the refusal.
pub(crate) fn decode(what: &str, text: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|cause| Problem::malformed(format!("{what} is not base64url: {cause}")))
}

/// base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(text: &str) -> String {
    encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn bad_key(why: &str) -> Problem {
    Problem::new(400, "badPublicKey", format!("unusable jwk: {why}"))
}

fn bad_algorithm(alg: &str, key: &str, wanted: &str) -> Problem {
    let detail = format!("alg `{alg}` does not fit {key} key, use {wanted}");
    Problem::new(400, "badSignatureAlgorithm", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The example of RFC 7515 appendix A.3.
    fn rfc7515() -> (Key, Value) {
        let key = Key::from_jwk(&json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }));
        let body = json!({
            "protected": "eyJhbGciOiJFUzI1NiJ9",
            "payload": "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "signature": "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        });
        (key.unwrap(), body)
    }

    #[test]
    fn the_example_of_rfc_7515_is_verified_and_a_changed_one_refused() {
        let (key, mut body) = rfc7515();
        let jws = Jws::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(jws.verify(&key), Ok(()));
        body["payload"] = json!("eyJpc3MiOiJqb2UifQ");
        let jws = Jws::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(jws.verify(&key).unwrap_err().kind, "malformed");
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = Key::from_jwk(&json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "x"})).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn an_unprotected_header_a_padded_text_and_a_foreign_algorithm_are_refused() {
        let (key, mut body) = rfc7515();
        body["protected"] = json!("eyJhbGciOiJub25lIn0"); // {"alg":"none"}
        let none = Jws::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(none.verify(&key).unwrap_err().kind, "badSignatureAlgorithm");
        body["payload"] = json!("e30=");
        assert!(Jws::parse(body.to_string().as_bytes()).is_err());
        body["header"] = json!({});
        assert!(Jws::parse(body.to_string().as_bytes()).is_err());
    }
}
