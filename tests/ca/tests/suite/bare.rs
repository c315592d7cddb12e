//! A bare ACME client whose every mistake can be chosen; it keeps the last nonce and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use renewd_testca::TestCa;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::support::{LOOK_EVERY, LOOKS_MAX, Responder, csr, web};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Last part of the problem type.
    pub(crate) fn problem(&self) -> String {
        let document = self.json();
        let kind = document["type"].as_str().unwrap_or_default();
        kind.rsplit(':').next().unwrap().to_owned()
    }
}

/// What to do wrong in one request.
#[derive(Default)]
pub(crate) struct Mistake {
    pub(crate) nonce: Option<String>,
    pub(crate) jwk: bool,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) no_user_agent: bool,
    pub(crate) signed_url: Option<String>,
    pub(crate) broken_signature: bool,
}

/// A bare ACME client: signs what it is told and keeps the last nonce.
pub(crate) struct Acme {
    web: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub(crate) directory: Value,
    key: EcdsaKeyPair,
    pub(crate) kid: String,
    pub(crate) nonce: String,
}

impl Acme {
    /// Reads the directory and registers a new key.
    pub(crate) async fn register(ca: &TestCa) -> Self {
        let mut acme = Self::connect(ca).await;
        let url = acme.url("newAccount");
        let payload = json!({ "termsOfServiceAgreed": true, "contact": ["mailto:a@b.example"] });
        let by_jwk = Mistake { jwk: true, ..Mistake::default() };
        let answer = acme.post_with(&url, Some(&payload), by_jwk).await.unwrap();
        assert_eq!(answer.status, 201);
        acme.kid = answer.header("location").unwrap().to_owned();
        acme
    }

    /// Reads the directory only.
    pub(crate) async fn connect(ca: &TestCa) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let mut acme = Self {
            web: web(ca),
            directory: Value::Null,
            key: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            kid: String::new(),
            nonce: String::new(),
        };
        acme.directory = acme.get(&ca.directory_url()).await.unwrap().json();
        acme.fresh_nonce().await;
        acme
    }

    pub(crate) fn url(&self, name: &str) -> String {
        self.directory[name].as_str().unwrap().to_owned()
    }

    pub(crate) async fn fresh_nonce(&mut self) {
        let url = self.url("newNonce");
        let request = Request::head(&url).header("user-agent", "test");
        let answer = self.send(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    pub(crate) async fn get(&mut self, url: &str) -> Result<Answer, String> {
        let request = Request::get(url).header("user-agent", "test");
        self.send(request.body(Full::default()).unwrap()).await
    }

    /// A proper POST (POST-as-GET without payload).
    pub(crate) async fn post(
        &mut self,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Answer, String> {
        self.post_with(url, payload, Mistake::default()).await
    }

    pub(crate) async fn post_with(
        &mut self,
        url: &str,
        payload: Option<&Value>,
        mistake: Mistake,
    ) -> Result<Answer, String> {
        let body = self.sign(url, payload, &mistake);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header("content-type", mistake.content_type.unwrap_or("application/jose+json"));
        if !mistake.no_user_agent {
            request = request.header("user-agent", "test");
        }
        self.send(request.body(Full::from(body)).unwrap()).await
    }

    /// Walks one authorization: publishes its answer and posts readiness. Returns its URL.
    pub(crate) async fn prove(&mut self, responder: &Responder, authorization: &str) {
        let challenge = self.challenge(authorization).await;
        let token = challenge["token"].as_str().unwrap();
        responder.publish(token, &format!("{token}.{}", self.thumbprint()));
        let url = challenge["url"].as_str().unwrap();
        let answer = self.post(url, Some(&json!({}))).await.unwrap();
        assert_eq!(answer.status, 200);
        self.wait(authorization, "valid").await;
    }

    pub(crate) async fn challenge(&mut self, authorization: &str) -> Value {
        let answer = self.post(authorization, None).await.unwrap();
        answer.json()["challenges"][0].clone()
    }

    /// Posts newOrder and returns the URL and the object.
    pub(crate) async fn order(&mut self, names: &[&str]) -> (String, Value) {
        let answer = self.new_order(&order_of(names)).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.json());
        (answer.header("location").unwrap().to_owned(), answer.json())
    }

    pub(crate) async fn new_order(&mut self, payload: &Value) -> Result<Answer, String> {
        let url = self.url("newOrder");
        self.post(&url, Some(payload)).await
    }

    /// From newOrder to a valid order.
    pub(crate) async fn obtain(&mut self, responder: &Responder, payload: &Value) -> Value {
        let answer = self.new_order(payload).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.json());
        let url = answer.header("location").unwrap().to_owned();
        let order = answer.json();
        for authorization in order["authorizations"].as_array().unwrap() {
            self.prove(responder, authorization.as_str().unwrap()).await;
        }
        let identifiers = order["identifiers"].as_array().unwrap();
        let names: Vec<&str> =
            identifiers.iter().map(|identifier| identifier["value"].as_str().unwrap()).collect();
        let answer = self.finalize(&order, &csr(&names)).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        self.wait(&url, "valid").await
    }

    pub(crate) async fn finalize(&mut self, order: &Value, csr: &[u8]) -> Answer {
        let url = order["finalize"].as_str().unwrap();
        let payload = json!({ "csr": URL_SAFE_NO_PAD.encode(csr) });
        self.post(url, Some(&payload)).await.unwrap()
    }

    /// Looks until the object has that status.
    pub(crate) async fn wait(&mut self, url: &str, status: &str) -> Value {
        for _ in 0..LOOKS_MAX {
            let object = self.post(url, None).await.unwrap().json();
            if object["status"] == status {
                return object;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{url} did not become {status}");
    }

    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    fn sign(&self, url: &str, payload: Option<&Value>, mistake: &Mistake) -> Vec<u8> {
        let mut header = json!({
            "alg": "ES256",
            "nonce": mistake.nonce.as_ref().unwrap_or(&self.nonce),
            "url": mistake.signed_url.as_deref().unwrap_or(url),
        });
        if mistake.jwk {
            header["jwk"] = self.jwk();
        } else {
            header["kid"] = json!(self.kid);
        }
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let payload = payload.map_or_else(String::new, Value::to_string);
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let input = format!("{protected}.{payload}");
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        let mut signature = signature.as_ref().to_vec();
        if mistake.broken_signature {
            signature[0] ^= 1;
        }
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let body = json!({ "protected": protected, "payload": payload, "signature": signature });
        body.to_string().into_bytes()
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = self.web.request(request).await;
        let answer = answer.map_err(|cause| format!("no answer: {cause:?}"))?;
        let (head, mut rest) = answer.into_parts();
        if let Some(nonce) = head.headers.get("replay-nonce") {
            self.nonce = nonce.to_str().unwrap().to_owned();
        }
        let mut body = Vec::new();
        while let Some(frame) = rest.frame().await {
            let frame = frame.map_err(|_| format!("broken after {} bytes", body.len()))?;
            body.extend(frame.into_data().unwrap());
        }
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// A newOrder payload.
pub(crate) fn order_of(names: &[&str]) -> Value {
    let identifiers: Vec<Value> =
        names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
    json!({ "identifiers": identifiers })
}
