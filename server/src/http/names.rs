//! The names of all metrics, with what they count; see `GET /metrics`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests answered, by method, route template and status.
pub const HTTP_REQUESTS: &str = "daybook_http_requests_total";
/// How long an answer took, by method and route template.
pub const HTTP_SECONDS: &str = "daybook_http_request_seconds";
/// Envelopes of phones, by `answer` (taken, expect, reactor, refused).
pub const SYNC_ENVELOPES: &str = "daybook_sync_envelopes_total";
/// Entries of phones, by `outcome` (posted, noted, held, refused).
pub const SYNC_ENTRIES: &str = "daybook_sync_entries_total";
/// Board changes of phones, by `verdict` (merged, duplicate, quarantined).
pub const SYNC_BOARD_CHANGES: &str = "daybook_sync_board_changes_total";
/// Bytes of request bodies of the exchange.
pub const SYNC_BYTES_UP: &str = "daybook_sync_bytes_up_total";
/// Bytes of response bodies of the exchange.
pub const SYNC_BYTES_DOWN: &str = "daybook_sync_bytes_down_total";
/// Signatures of devices that did not fit: an alarm.
pub const SYNC_WRONG_SIGNATURES: &str = "daybook_sync_wrong_signatures_total";

/// Times the database was found set back: an alarm.
pub const RECOVERIES: &str = "daybook_recoveries_total";

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

fn describe() {
    use metrics::{describe_counter, describe_histogram};
    describe_counter!(HTTP_REQUESTS, "Requests answered, by method, route template and status");
    describe_histogram!(HTTP_SECONDS, "Seconds an answer took, by method and route template");
    describe_counter!(SYNC_ENVELOPES, "Envelopes of phones, by answer");
    describe_counter!(SYNC_ENTRIES, "Entries of phones, by outcome");
    describe_counter!(SYNC_BOARD_CHANGES, "Board changes of phones, by verdict");
    describe_counter!(SYNC_BYTES_UP, "Bytes of request bodies of the exchange");
    describe_counter!(SYNC_BYTES_DOWN, "Bytes of response bodies of the exchange");
    describe_counter!(SYNC_WRONG_SIGNATURES, "Signatures of devices that did not fit");
    describe_counter!(RECOVERIES, "Times the database was found set back");
}
