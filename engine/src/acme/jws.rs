//! Our own signature (RFC 7515 flattened, ES256, RFC 8555 §6.2), for what `instant-acme` cannot sign:
//! newAccount with contacts, the account object and the list of orders.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use renewd_events::problem::Problem;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::problem;

/// A coordinate of P-256, in octets.
const COORDINATE_OCTETS: usize = 32;

/// An account key, ready to sign. It has no `Debug`.
pub(super) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// Who signs: exactly one of the two (RFC 8555 §6.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Identity<'a> {
    /// The public key itself, for newAccount.
    Key,
    /// The account's URL, for all else.
    Account(&'a str),
}

impl Signer {
    /// # Errors
    /// When it is not a P-256 key in PKCS#8.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Problem> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|cause| problem::account_key(&cause.to_string()))?;
        Ok(Self { key, random })
    }

    /// The JWS of `payload` for `url`; no payload is a POST-as-GET (RFC 8555 §6.3).
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn sign(
        &self,
        identity: Identity<'_>,
        nonce: &str,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Vec<u8>, Problem> {
        let mut header = json!({"alg": "ES256", "nonce": nonce, "url": url});
        if let Some(fields) = header.as_object_mut() {
            match identity {
                Identity::Key => fields.insert("jwk".to_owned(), self.public_key()),
                Identity::Account(url) => fields.insert("kid".to_owned(), json!(url)),
            };
        }
        let protected = encode(header.to_string().as_bytes());
        let payload =
            payload.map_or_else(String::new, |value| encode(value.to_string().as_bytes()));
        let signature = self
            .key
            .sign(&self.random, format!("{protected}.{payload}").as_bytes())
            .map_err(|cause| problem::account_key(&cause.to_string()))?;
        let jws = json!({
            "protected": protected,
            "payload": payload,
            "signature": encode(signature.as_ref()),
        });
        Ok(jws.to_string().into_bytes())
    }

    /// The public key as a JWK (RFC 7518 §6.2.1). ring gives the uncompressed point: 4, X, Y.
    fn public_key(&self) -> Value {
        let point = self.key.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(COORDINATE_OCTETS).unwrap_or_default();
        json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn decode(value: &Value) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
    }

    fn signer() -> Signer {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Signer::from_pkcs8(key.as_ref()).unwrap()
    }

    /// What a CA does with it: everything is read back from the JWS alone.
    #[test]
    fn the_signature_holds_for_the_key_in_the_header_and_for_nothing_else() {
        let payload = json!({"contact": ["mailto:a@example.com"]});
        let jws = signer().sign(Identity::Key, "n0", "https://ca/new", Some(&payload)).unwrap();
        let jws: Value = serde_json::from_slice(&jws).unwrap();
        let header: Value = serde_json::from_slice(&decode(&jws["protected"])).unwrap();
        assert_eq!(header["alg"], "ES256");
        assert_eq!(header["nonce"], "n0");
        assert_eq!(header["url"], "https://ca/new");
        assert!(header.get("kid").is_none());
        assert_eq!(decode(&jws["payload"]), payload.to_string().as_bytes());

        let point = [vec![4], decode(&header["jwk"]["x"]), decode(&header["jwk"]["y"])].concat();
        assert_eq!(point.len(), 65);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let signed = |jws: &Value| {
            format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap())
        };
        let signature = decode(&jws["signature"]);
        assert_eq!(signature.len(), 64);
        key.verify(signed(&jws).as_bytes(), &signature).unwrap();
        let mut other = jws.clone();
        other["payload"] = json!("e30");
        key.verify(signed(&other).as_bytes(), &signature).unwrap_err();
    }

    /// RFC 7515 A.3: the signature of the standard's example, over our way of joining the parts.
    #[test]
    fn the_example_of_the_standard_verifies_with_the_same_algorithm_and_encoding() {
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        let signed = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                      Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert_eq!(encode(br#"{"alg":"ES256"}"#), "eyJhbGciOiJFUzI1NiJ9");
        let point = [vec![4], decode(&json!(x)), decode(&json!(y))].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &decode(&json!(signature)))
            .unwrap();
    }

    #[test]
    fn a_post_as_get_has_an_empty_payload_and_the_account_as_signer() {
        let jws = signer()
            .sign(Identity::Account("https://ca/acct/1"), "n", "https://ca/x", None)
            .unwrap();
        let jws: Value = serde_json::from_slice(&jws).unwrap();
        let header: Value = serde_json::from_slice(&decode(&jws["protected"])).unwrap();
        assert_eq!(jws["payload"], "");
        assert_eq!(header["kid"], "https://ca/acct/1");
        assert!(header.get("jwk").is_none());
    }

    #[test]
    fn a_key_that_is_none_is_named_and_not_shown() {
        let Err(problem) = Signer::from_pkcs8(b"secret") else {
            panic!("took rubbish for a key");
        };
        assert_eq!(problem.kind, "account-key");
        assert!(!problem.detail.contains("secret"));
    }
}
