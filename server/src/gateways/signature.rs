//! Who signed a callback: HMAC-SHA256 over its time and its body, compared in constant time, with any of several
//! secrets, so that they can change while callbacks are on their way.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_shared::time::Timestamp;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::CallbackError;
use crate::auth::oidc::Secret;

/// How far the time of a callback may be from ours.
const SKEW_SECONDS: i64 = 300;
/// Signatures of one header that are looked at.
const SIGNATURES_MAX: usize = 8;
/// The longest id of an event.
const EVENT_BYTES_MAX: usize = 128;

/// A Standard Webhooks callback (`webhook-id`, `webhook-timestamp`, `webhook-signature`): the id of its event.
pub fn standard_webhook(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<String, CallbackError> {
    let text = |name| header(headers, name);
    let (id, sent_at) = (text("webhook-id")?, text("webhook-timestamp")?);
    if id.len() > EVENT_BYTES_MAX {
        return Err(CallbackError::Signature);
    }
    is_recent(sent_at, now)?;
    let signatures = text("webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let signatures: Vec<_> = signatures.take(SIGNATURES_MAX).filter_map(|one| STANDARD.decode(one).ok()).collect();
    let fits = secrets.iter().filter_map(standard_key).any(|key| {
        let signed = [id.as_bytes(), b".", sent_at.as_bytes(), b".", body];
        signatures.iter().any(|signature| mac(&key, &signed).verify_slice(signature).is_ok())
    });
    if fits { Ok(id.to_owned()) } else { Err(CallbackError::Signature) }
}

/// `whsec_` and the key in base64.
fn standard_key(secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let encoded = secret.reveal();
    STANDARD.decode(encoded.strip_prefix("whsec_").unwrap_or(encoded)).ok().map(Zeroizing::new)
}

/// A header `t=<seconds>,v1=<hex>` over `<seconds>.<body>`; `v1` may come several times.
pub fn timed_header(secrets: &[Secret], value: &str, body: &[u8], now: Timestamp) -> Result<(), CallbackError> {
    let mut parts = value.split(',').map(str::trim);
    let sent_at = parts.next().and_then(|part| part.strip_prefix("t=")).ok_or(CallbackError::Signature)?;
    is_recent(sent_at, now)?;
    let signatures: Vec<_> = parts.filter_map(|part| unhex(part.strip_prefix("v1=")?)).take(SIGNATURES_MAX).collect();
    let fits = secrets.iter().any(|secret| {
        let signed = [sent_at.as_bytes(), b".", body];
        signatures.iter().any(|signature| mac(secret.reveal().as_bytes(), &signed).verify_slice(signature).is_ok())
    });
    if fits { Ok(()) } else { Err(CallbackError::Signature) }
}

/// One header, as text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, CallbackError> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(CallbackError::Signature)
}

fn is_recent(seconds: &str, now: Timestamp) -> Result<(), CallbackError> {
    let sent_at: i64 = seconds.parse().map_err(|_| CallbackError::Signature)?;
    let apart = now.seconds().checked_sub(sent_at).map(i64::abs);
    if apart.is_some_and(|apart| apart <= SKEW_SECONDS) { Ok(()) } else { Err(CallbackError::Signature) }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 128 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use daybook_shared::ids::Hash;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// The vector of the specification's own tests.
    #[test]
    fn a_standard_webhook_is_its_signers_and_of_now() {
        const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const BODY: &[u8] = br#"{"test": 2432232314}"#;
        const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let check = |secrets: &[&str], signature: &str, sent_at: &str, body: &[u8], later_s: i64| {
            let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(text)).collect();
            let headers = headers(&[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", sent_at),
                ("webhook-signature", signature),
            ]);
            let now = Timestamp::from_millis((1_614_265_330 + later_s) * 1000);
            standard_webhook(&secrets, &headers, body, now)
        };
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let sent_at = "1614265330";
        assert_eq!(check(&[KEY], SIGNATURE, sent_at, BODY, 0), Ok("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()));
        // A secret that changes: the old and the new are known, and the sender may sign with both.
        assert!(check(&[other, KEY], SIGNATURE, sent_at, BODY, 0).is_ok());
        assert!(check(&[KEY], &format!("v1,AAAA {SIGNATURE}"), sent_at, BODY, 0).is_ok());
        assert!(check(&[KEY], SIGNATURE, sent_at, BODY, 300).is_ok());
        for (secrets, signature, sent_at, body, later_s) in [
            (&[other][..], SIGNATURE, sent_at, BODY, 0),
            (&[], SIGNATURE, sent_at, BODY, 0),
            (&[KEY], "v1,AAAA", sent_at, BODY, 0),
            (&[KEY], "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", sent_at, BODY, 0),
            (&[KEY], SIGNATURE, sent_at, b"{}", 0),
            (&[KEY], SIGNATURE, "1614265331", BODY, 0),
            (&[KEY], SIGNATURE, "-9223372036854775808", BODY, 0),
            (&[KEY], SIGNATURE, sent_at, BODY, 301),
            (&[KEY], SIGNATURE, sent_at, BODY, -301),
        ] {
            let checked = check(secrets, signature, sent_at, body, later_s);
            assert_eq!(checked, Err(CallbackError::Signature), "{signature} {sent_at} {later_s}");
        }
    }

    #[test]
    fn a_timed_header_is_its_signers_and_of_now() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let signed = |secret: &str, seconds: &str, body: &[u8]| {
            let bytes: [u8; 32] =
                mac(secret.as_bytes(), &[seconds.as_bytes(), b".", body]).finalize().into_bytes().into();
            format!("t={seconds},v1={}", Hash(bytes))
        };
        let check =
            |header: &str, body: &[u8]| timed_header(&[Secret::new("one"), Secret::new("two")], header, body, now);
        for (secret, seconds, fits) in [
            ("one", "1700000000", true),
            ("two", "1699999700", true),
            ("two", "1699999699", false),
            ("three", "1700000000", false),
        ] {
            assert_eq!(check(&signed(secret, seconds, b"x"), b"x").is_ok(), fits, "{secret} {seconds}");
        }
        let good = signed("one", "1700000000", b"x");
        for odd in [good.replace("v1=", "v1=0"), good.replace("v1=", "v0="), String::new(), "t=,v1=".to_owned()] {
            assert_eq!(check(&odd, b"x"), Err(CallbackError::Signature), "{odd}");
        }
        assert_eq!(check(&good, b"y"), Err(CallbackError::Signature));
    }
}
