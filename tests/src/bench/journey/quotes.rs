//! Quotes that customers ask for in the app, over HTTP: each is worked out, written down and answered.

use std::time::Duration;

use axum::http::Method;
use daybook_shared::ids::QuoteId;
use daybook_shared::time::{Clock as _, SystemClock};
use futures_util::future::try_join_all;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::Size;
use super::connection::Connection;
use super::shop::Shop;
use crate::bench::bare;

/// Whoever has one of these tokens asks in turn; how long each took, in milliseconds.
pub async fn ask(shop: &Shop, tokens: &[String], size: Size) -> anyhow::Result<Vec<f64>> {
    let mut connections = Connection::open_many(shop.address(), size.shoppers).await?;
    let (begun, whole) = (bare::start(), Duration::from_secs(size.seconds));
    let asked = connections.iter_mut().enumerate().map(async |(n, connection)| {
        let mut rng = ChaCha20Rng::seed_from_u64(n as u64);
        let mut latencies = Vec::new();
        for token in tokens.iter().cycle().skip(n).step_by(size.shoppers) {
            if begun.elapsed() >= whole {
                break;
            }
            let body = shop.quote(QuoteId::new(SystemClock.now(), &mut rng));
            let asked = bare::start();
            let answer = connection.send(shop.ask(token, Method::POST, "/v1/quotes", &body)).await?;
            answer.expect(201)?;
            latencies.push(milliseconds(asked.elapsed()));
        }
        anyhow::Ok(latencies)
    });
    Ok(try_join_all(asked).await?.concat())
}

#[expect(clippy::float_arithmetic, reason = "a figure in milliseconds")]
fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
