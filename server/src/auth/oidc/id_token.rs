//! What makes an identity token: signed by one of the provider's keys, by an algorithm that fits the key,
//! from this issuer, for us, for this sign-in, now. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::time::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How far two clocks may differ.
const SKEW_SECONDS: i64 = 60;
/// How old a token may be that was asked for just now.
const AGE_SECONDS: i64 = 10 * 60;
/// The protocol's longest subject.
const SUBJECT_BYTES_MAX: usize = 255;
/// Bytes of an RSA modulus: shorter is weak, longer is slow.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// What the sign-in was begun with, if it was begun here.
    pub nonce: Option<&'a str>,
    pub now: Timestamp,
}

/// Who somebody is, at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider's name for him, which stays.
    pub subject: String,
    /// His e-mail address in small letters, if the provider verified it.
    pub email: Option<String>,
    /// His phone number as the provider writes it, if the provider verified it.
    pub phone: Option<String>,
}

/// Why a token is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// No JWT, or not of this shape.
    #[error("it is malformed")]
    Malformed,
    /// Unsigned, signed with a shared secret, or by another algorithm than its key's.
    #[error("its algorithm is not taken")]
    Algorithm,
    /// The provider publishes no such key.
    #[error("its key is not published")]
    UnknownKey,
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// Another issuer's.
    #[error("it is another issuer's")]
    Issuer,
    /// Another client's.
    #[error("it is for somebody else")]
    Audience,
    /// Its time is over, or has not come.
    #[error("its time is over, or has not come")]
    Time,
    /// Of another sign-in.
    #[error("it is of another sign-in")]
    Nonce,
    /// Nobody's.
    #[error("it names nobody")]
    Subject,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Truth {
    Bool(bool),
    Text(String),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    email: Option<String>,
    email_verified: Option<Truth>,
    phone_number: Option<String>,
    phone_number_verified: Option<Truth>,
}

/// Whose token it is, if it is good.
pub(super) fn verify(token: &str, keys: &[Jwk], expected: Expected<'_>) -> Result<Person, IdTokenError> {
    use IdTokenError as E;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(E::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| unreadable(token))?;
    let algorithm = header.alg;
    if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) || header.crit.is_some() {
        return Err(E::Algorithm);
    }
    let key = match &header.kid {
        Some(kid) => keys.iter().find(|key| key.common.key_id.as_ref() == Some(kid)),
        // A provider with one key need not name it.
        None if keys.len() == 1 => keys.first(),
        None => None,
    };
    let key = key.ok_or(E::UnknownKey)?;
    if !fits(key, algorithm) {
        return Err(E::Algorithm);
    }
    let decoding = DecodingKey::from_jwk(key).map_err(|_| E::Algorithm)?;
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let token = jsonwebtoken::decode::<Claims>(token, &decoding, &validation).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => E::Signature,
        _ => E::Malformed,
    })?;
    judge(token.claims, expected)
}

/// What is wrong with a header that the library does not read: an algorithm nobody should take, or all.
fn unreadable(token: &str) -> IdTokenError {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    match header.and_then(|header| serde_json::from_slice::<Header>(&header).ok()) {
        Some(header) if !header.alg.is_empty() => IdTokenError::Algorithm,
        _ => IdTokenError::Malformed,
    }
}

/// Whether a key is for signatures by this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let named = key.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let signs = key.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(rsa), A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512) => {
            URL_SAFE_NO_PAD.decode(&rsa.n).is_ok_and(|modulus| RSA_BYTES.contains(&modulus.len()))
        }
        (AlgorithmParameters::EllipticCurve(ec), A::ES256) => ec.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(ec), A::ES384) => ec.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), A::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    named && signs && kind
}

fn judge(claims: Claims, expected: Expected<'_>) -> Result<Person, IdTokenError> {
    use IdTokenError as E;
    let Claims { iss, sub, aud, azp, exp, iat, nonce, .. } = claims;
    if iss != expected.issuer {
        return Err(E::Issuer);
    }
    let (ours, several) = match &aud {
        Audience::One(one) => (one == expected.client_id, false),
        Audience::Several(all) => (all.iter().any(|one| one == expected.client_id), all.len() > 1),
    };
    let party = azp.as_deref().map_or(!several, |party| party == expected.client_id);
    if !ours || !party {
        return Err(E::Audience);
    }
    let now = expected.now.seconds();
    let (age, left) = (now.saturating_sub(iat), exp.saturating_sub(now));
    if left < -SKEW_SECONDS || !(-SKEW_SECONDS..=AGE_SECONDS).contains(&age) {
        return Err(E::Time);
    }
    if expected.nonce.is_some() && nonce.as_deref() != expected.nonce {
        return Err(E::Nonce);
    }
    if sub.is_empty() || sub.len() > SUBJECT_BYTES_MAX || sub.contains('\0') {
        return Err(E::Subject);
    }
    let email = claims.email.filter(|_| is_true(claims.email_verified)).map(|email| email.to_ascii_lowercase());
    let phone = claims.phone_number.filter(|_| is_true(claims.phone_number_verified));
    Ok(Person { subject: sub, email, phone })
}

fn is_true(said: Option<Truth>) -> bool {
    match said {
        Some(Truth::Bool(verified)) => verified,
        Some(Truth::Text(text)) => text == "true",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn judged(change: &Value) -> Result<Person, IdTokenError> {
        judged_with(change, Some("n"))
    }

    fn judged_with(change: &Value, nonce: Option<&str>) -> Result<Person, IdTokenError> {
        let mut claims = json!({
            "iss": "https://id.example.com", "sub": "u1", "aud": "daybook", "nonce": "n",
            "exp": now().seconds() + 300, "iat": now().seconds(),
            "email": "Amina@Example.com", "email_verified": true,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let issuer = "https://id.example.com";
        let expected = Expected { issuer, client_id: "daybook", nonce, now: now() };
        judge(serde_json::from_value(claims).map_err(|_| IdTokenError::Malformed)?, expected)
    }

    #[test]
    fn every_claim_is_looked_at() {
        use IdTokenError as E;
        let now = now().seconds();
        let good = Person { subject: "u1".to_owned(), email: Some("amina@example.com".to_owned()), phone: None };
        let cases = [
            (json!({}), Ok(good.clone())),
            (json!({ "aud": ["daybook"] }), Ok(good.clone())),
            (json!({ "aud": ["daybook", "other"], "azp": "daybook" }), Ok(good.clone())),
            (json!({ "email_verified": "true" }), Ok(good.clone())),
            (json!({ "exp": now - 60 }), Ok(good.clone())),
            (json!({ "email_verified": false }), Ok(Person { email: None, ..good.clone() })),
            (json!({ "email_verified": null }), Ok(Person { email: None, ..good.clone() })),
            (json!({ "iss": "https://id.example.com/" }), Err(E::Issuer)),
            (json!({ "aud": "other" }), Err(E::Audience)),
            (json!({ "aud": [] }), Err(E::Audience)),
            (json!({ "aud": ["daybook", "other"] }), Err(E::Audience)),
            (json!({ "azp": "other" }), Err(E::Audience)),
            (json!({ "exp": now - 61 }), Err(E::Time)),
            (json!({ "iat": now + 61 }), Err(E::Time)),
            (json!({ "iat": now - 601 }), Err(E::Time)),
            (json!({ "iat": i64::MIN, "exp": i64::MAX }), Err(E::Time)),
            (json!({ "nonce": "other" }), Err(E::Nonce)),
            (json!({ "nonce": null }), Err(E::Nonce)),
            (json!({ "sub": "" }), Err(E::Subject)),
            (json!({ "sub": "x".repeat(256) }), Err(E::Subject)),
            (json!({ "exp": null }), Err(E::Malformed)),
            (json!({ "iat": "now" }), Err(E::Malformed)),
        ];
        for (change, verdict) in cases {
            assert_eq!(judged(&change), verdict, "{change}");
        }
    }

    #[test]
    fn without_a_sign_in_of_ours_there_is_no_nonce_and_a_number_counts_when_it_is_verified() {
        for (change, phone) in [
            (json!({ "phone_number": "+254 712 345678", "phone_number_verified": true }), Some("+254 712 345678")),
            (
                json!({ "phone_number": "+254712345678", "phone_number_verified": "true", "nonce": null }),
                Some("+254712345678"),
            ),
            (json!({ "phone_number": "+254712345678", "phone_number_verified": false }), None),
            (json!({ "phone_number": "+254712345678" }), None),
            (json!({ "phone_number_verified": true }), None),
        ] {
            assert_eq!(judged_with(&change, None).unwrap().phone.as_deref(), phone, "{change}");
        }
        assert_eq!(judged_with(&json!({ "exp": now().seconds() - 61 }), None), Err(IdTokenError::Time));
    }
}
