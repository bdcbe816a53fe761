//! Who carries messages: an SMS gateway over HTTP, or the log of a server that somebody develops on.
//!
//! The setting `message_gateway` says which. The gateway's secret is a file beside the process, never in the
//! database. Its answers are judged by their status alone, by one table.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::auth::oidc::{Secret, is_address};
use crate::outside::{self, NoTls, Patience};
use crate::settings::Settings;
use crate::spelled::spelled;

/// How long a gateway may take. A person waits for a code.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(2), whole: Duration::from_secs(8) };
/// Where the number stands in a body's template, and where the text does.
const TO: &str = "{to}";
const TEXT: &str = "{text}";

spelled! {
    /// Which gateway there is.
    GatewayKind {
        /// None: no message leaves, and nobody signs in by a code.
        None = "none",
        /// The server's log, with number and text: for development only.
        Log = "log",
        /// An SMS gateway over HTTP.
        Http = "http",
    }
}

/// Why the settings of a gateway cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Half a setting.
    #[error("message_gateway is http: sms_url is needed too (`daybook settings set`)")]
    Incomplete,
    /// A secret that no header can carry.
    #[error("the secret of the SMS gateway (--sms-secret-file) is no value of a header")]
    Secret,
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] NoTls),
}

/// Why a message is not sent, or not known to be. What it says is for the log and holds no number and no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It did not reach the gateway.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The gateway will never take it as it is.
    #[error("refused with {0}")]
    Refused(u16),
    /// It may have been taken.
    #[error("nobody knows: {0}")]
    Unknown(String),
}

/// Who carries messages.
#[derive(Debug)]
pub enum Gateway {
    /// The log.
    Log,
    /// An SMS gateway.
    Http(HttpGateway),
}

impl Gateway {
    /// The gateway of the settings, if there is one.
    pub fn new(settings: &Settings, secret: Option<Secret>) -> Result<Option<Self>, GatewayError> {
        Ok(match settings.message_gateway {
            GatewayKind::None => None,
            GatewayKind::Log => {
                tracing::warn!("messages to customers, one-time codes too, go into this log: for development only");
                Some(Self::Log)
            }
            GatewayKind::Http => Some(Self::Http(HttpGateway::new(settings, secret, PATIENCE)?)),
        })
    }

    /// Sends a text to a number.
    pub async fn send(&self, to: &str, text: &str) -> Result<(), SendError> {
        match self {
            Self::Log => {
                tracing::info!(to, text, "a message to a customer");
                Ok(())
            }
            Self::Http(http) => http.send(to, text).await,
        }
    }
}

/// An SMS gateway that takes a message by POST.
pub struct HttpGateway {
    http: reqwest::Client,
    url: String,
    header: Option<(HeaderName, HeaderValue)>,
    body: Value,
}

impl std::fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpGateway")
    }
}

impl HttpGateway {
    fn new(settings: &Settings, secret: Option<Secret>, patience: Patience) -> Result<Self, GatewayError> {
        let Settings { sms_url, sms_header, sms_body, .. } = settings;
        if sms_url.is_empty() {
            return Err(GatewayError::Incomplete);
        }
        let header = secret.map(|secret| {
            let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| GatewayError::Secret)?;
            value.set_sensitive(true);
            let name =
                HeaderName::from_bytes(sms_header.as_bytes()).expect("invariant: the setting is a header's name");
            Ok::<_, GatewayError>((name, value))
        });
        Ok(Self {
            http: outside::client(sms_url.starts_with("http:"), patience)?,
            url: sms_url.clone(),
            header: header.transpose()?,
            body: serde_json::from_str(sms_body).expect("invariant: the setting is a template"),
        })
    }

    async fn send(&self, to: &str, text: &str) -> Result<(), SendError> {
        let body = filled(&self.body, to, text).to_string();
        let mut request = self.http.post(&self.url).header("content-type", "application/json").body(body);
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => by_status(response.status().as_u16()),
            // There was no connection, so nothing was written to it.
            Err(error) if error.is_connect() || error.is_builder() => Err(SendError::NotSent(outside::cause(error))),
            Err(error) => Err(SendError::Unknown(outside::cause(error))),
        }
    }
}

/// What an answer with this status means.
fn by_status(status: u16) -> Result<(), SendError> {
    match status {
        200..=299 => Ok(()),
        429 => Err(SendError::NotSent("it has too much to do".to_owned())),
        408 => Err(SendError::Unknown("status 408".to_owned())),
        // Not followed: the number would go to somebody who is in no setting.
        300..=499 => Err(SendError::Refused(status)),
        _ => Err(SendError::Unknown(format!("status {status}"))),
    }
}

/// A body: the template's texts with number and text in their places.
fn filled(template: &Value, to: &str, text: &str) -> Value {
    match template {
        // One pass, so that nothing in a text is taken for a place.
        Value::String(words) if words == TEXT => Value::String(text.to_owned()),
        Value::String(words) => Value::String(words.replace(TO, to)),
        Value::Array(items) => items.iter().map(|item| filled(item, to, text)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), filled(value, to, text))).collect(),
        other => other.clone(),
    }
}

/// Whether this is a body's template: a JSON object in which some text has `{to}` and one is `{text}`.
pub fn is_body(text: &str) -> bool {
    fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => found.push(text),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(members) => members.values().for_each(|value| texts(value, found)),
            _ => {}
        }
    }
    let Ok(value @ Value::Object(_)) = serde_json::from_str(text) else { return false };
    let mut found = Vec::new();
    texts(&value, &mut found);
    found.iter().any(|text| text.contains(TO)) && found.contains(&TEXT)
}

/// Whether this is a header's name.
pub fn is_header(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok()
}

/// Whether messages may be sent there.
pub fn is_url(text: &str) -> bool {
    text.is_empty() || is_address(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::gateway::{Doing, StubGateway, Taken};

    #[test]
    fn a_body_is_its_template_with_number_and_text() {
        let template = json!({ "to": ["tel:{to}"], "message": "{text}", "from": "Daybook", "priority": 1 });
        assert!(is_body(&template.to_string()));
        let body = filled(&template, "+254712345678", "say \"{to}\" {text}");
        let expected =
            json!({ "to": ["tel:+254712345678"], "message": "say \"{to}\" {text}", "from": "Daybook", "priority": 1 });
        assert_eq!(body, expected);
        for text in
            ["", "[]", "{\"to\":\"{to}\"}", "{\"text\":\"{text}\"}", "{\"to\":\"{to}\",\"text\":\"Hi {text}\"}", "{"]
        {
            assert!(!is_body(text), "{text}");
        }
        assert!(is_body(&Settings::default().sms_body));
        assert!(is_header(&Settings::default().sms_header) && !is_header("two words") && !is_header(""));
    }

    #[test]
    fn a_status_says_whether_it_was_taken_and_never_guesses() {
        for (status, expected) in [
            (200, "sent"),
            (202, "sent"),
            (302, "refused"),
            (400, "refused"),
            (401, "refused"),
            (408, "unknown"),
            (429, "not sent"),
            (500, "unknown"),
            (503, "unknown"),
            (100, "unknown"),
            (999, "unknown"),
        ] {
            assert_eq!(class(&by_status(status)), expected, "{status}");
        }
    }

    /// Goal: an outcome is never guessed, and an attempt ends. Method: a gateway on this machine that does all
    /// that a gateway may do.
    #[tokio::test]
    async fn what_a_gateway_does_is_told_apart() {
        let stub = StubGateway::start();
        let patience = Patience { connect: Duration::from_millis(500), whole: Duration::from_millis(500) };
        let gateway = |url: &str| {
            let mut settings = Settings::default();
            settings.put("sms_url", url).unwrap();
            settings.put("sms_header", "x-api-key").unwrap();
            HttpGateway::new(&settings, Some(Secret::new("s3cret")), patience).unwrap()
        };
        let http = gateway(&stub.url);
        for (doing, expected) in [
            (Doing::Takes, "sent"),
            (Doing::Refuses, "refused"),
            (Doing::IsBusy, "not sent"),
            (Doing::FailsAfterTaking, "unknown"),
            (Doing::HangsUpAfterTaking, "unknown"),
            (Doing::NeverAnswers, "unknown"),
            (Doing::SendsElsewhere, "refused"),
        ] {
            stub.set(doing);
            assert_eq!(class(&http.send("+254712345678", "Jambo {to}").await), expected, "{doing:?}");
        }
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(class(&gateway(&format!("http://{nobody}/")).send("+254712345678", "Jambo").await), "not sent");
        let taken = stub.taken();
        assert_eq!(taken.len(), 4, "{taken:?}");
        for message in taken {
            let Taken { to, text, headers } = message;
            assert_eq!((to.as_str(), text.as_str()), ("+254712345678", "Jambo {to}"));
            assert!(headers.contains("x-api-key: s3cret"), "{headers}");
        }
    }

    fn class(outcome: &Result<(), SendError>) -> &'static str {
        match outcome {
            Ok(()) => "sent",
            Err(SendError::NotSent(_)) => "not sent",
            Err(SendError::Refused(_)) => "refused",
            Err(SendError::Unknown(_)) => "unknown",
        }
    }

    #[test]
    fn half_a_setting_is_an_error_and_a_secret_is_not_shown() {
        let mut settings = Settings::default();
        assert!(Gateway::new(&settings, None).unwrap().is_none());
        settings.put("message_gateway", "http").unwrap();
        assert!(matches!(Gateway::new(&settings, None), Err(GatewayError::Incomplete)));
        settings.put("sms_url", "http://127.0.0.1:1/send").unwrap();
        assert!(matches!(Gateway::new(&settings, Some(Secret::new("a\nb"))), Err(GatewayError::Secret)));
        let gateway = Gateway::new(&settings, Some(Secret::new("Bearer s3cret"))).unwrap().unwrap();
        assert!(!format!("{gateway:?}").contains("s3cret"));
    }
}
