//! The names of all metrics, with what they count; see `GET /metrics`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Declares the metrics: name, kind, and what it counts, in one place.
macro_rules! metrics_of {
    ($($(#[doc = $doc:literal])+ $name:ident = $kind:ident $text:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+

        /// Every metric and what it counts.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),+)),)+];

        fn describe() {
            $(metrics_of!(@ $kind $name, concat!($($doc),+).trim());)+
        }
    };
    (@ counter $name:ident, $doc:expr) => { metrics::describe_counter!($name, $doc) };
    (@ gauge $name:ident, $doc:expr) => { metrics::describe_gauge!($name, $doc) };
    (@ histogram $name:ident, $doc:expr) => { metrics::describe_histogram!($name, $doc) };
}

metrics_of! {
    /// Requests answered, by method, route template and status.
    HTTP_REQUESTS = counter "daybook_http_requests_total";
    /// Seconds an answer took, by method and route template.
    HTTP_SECONDS = histogram "daybook_http_request_seconds";
    /// Envelopes of phones, by answer (taken, expect, reactor, refused).
    SYNC_ENVELOPES = counter "daybook_sync_envelopes_total";
    /// Entries of phones, by outcome (posted, noted, held, refused).
    SYNC_ENTRIES = counter "daybook_sync_entries_total";
    /// Board changes of phones, by verdict (merged, duplicate, quarantined).
    SYNC_BOARD_CHANGES = counter "daybook_sync_board_changes_total";
    /// Bytes of request bodies of the exchange.
    SYNC_BYTES_UP = counter "daybook_sync_bytes_up_total";
    /// Bytes of response bodies of the exchange.
    SYNC_BYTES_DOWN = counter "daybook_sync_bytes_down_total";
    /// Signatures of devices that did not fit: an alarm.
    SYNC_WRONG_SIGNATURES = counter "daybook_sync_wrong_signatures_total";
    /// Sign-ins and the like that were refused, by what was tried and why (wrong, too_many).
    AUTH_REFUSED = counter "daybook_auth_refused_total";
    /// Attempts to send a message to a customer, by template and outcome (sent, again, refused, unknown, given_up).
    MESSAGES = counter "daybook_messages_total";
    /// Devices in use, by health (ok, late, silent, never).
    DEVICES = gauge "daybook_devices";
    /// Entries that are held and wait for a person or another record.
    ENTRIES_HELD = gauge "daybook_entries_held";
    /// Board changes in quarantine that wait for a supervisor.
    BOARD_CHANGES_QUARANTINED = gauge "daybook_board_changes_quarantined";
    /// Turns of background jobs, by job and outcome (done, failed).
    JOB_RUNS = counter "daybook_job_runs_total";
    /// Times the database was found set back, and a new epoch begun: an alarm.
    RECOVERIES = counter "daybook_recoveries_total";
}

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// The process's recorder, installed by the first who asks.
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(HTTP_SECONDS.to_owned()), BUCKETS)
            .expect("the buckets are not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics stays empty");
        }
        describe();
        handle
    })
}
