//! `daybook serve`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::{Config, NewDatabase};
use crate::app::{App, ClockChoice};
use crate::audit::seal::keep_sealed;
use crate::auth::upkeep::keep_keys;
use crate::gateways::GatewayName;
use crate::http::serve::{Server, stop_signal};
use crate::journey::payments::work;
use crate::journey::refund_calls;
use crate::{hints, http, jobs};

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints one line when it is bound:

  listening on http://127.0.0.1:8080

Try:  curl http://127.0.0.1:8080/readyz
Stop: Ctrl-C or SIGTERM; requests in flight are finished first.")]
pub(super) struct Serve {
    #[command(flatten)]
    listen: Listen,
    /// Read the time (RFC 3339) from this file; it only moves forward. Refused unless the database was
    /// created with --test
    #[arg(long, value_name = "FILE")]
    test_clock: Option<PathBuf>,
    #[command(flatten)]
    new: NewDatabase,
}

/// Where to listen.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Listen {
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "DAYBOOK_LISTEN", value_name = "ADDR")]
    listen: Option<String>,
}

impl Listen {
    /// The address: flag, environment, file, default.
    pub(super) fn address<'a>(&'a self, config: &'a Config) -> &'a str {
        self.listen.as_deref().unwrap_or(&config.listen)
    }
}

impl Serve {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let clock = self.test_clock.map_or(ClockChoice::System, ClockChoice::File);
        let app = App::open(&config.options(self.new, clock)).await?;
        let bound = bind(config, &self.listen).await?;
        run(&app, bound).await
    }
}

/// Binds the address.
pub(super) async fn bind(config: &Config, listen: &Listen) -> anyhow::Result<Server> {
    let address = listen.address(config);
    Server::bind(address).await.with_context(|| format!("{address} cannot be listened on"))
}

/// Serves an open database on a bound address until it is told to stop.
pub(super) async fn run(app: &Arc<App>, server: Server) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let address = server.address()?;
    println!("listening on http://{address}");
    warn_of_gateways(app);
    tracing::info!(%address, deployment = %app.deployment.id, "serving");
    let upkeep = [
        tokio::spawn(jobs::keep(Arc::clone(app))),
        tokio::spawn(keep_sealed(Arc::clone(app))),
        tokio::spawn(keep_keys(Arc::clone(app))),
        tokio::spawn(hints::keep(Arc::clone(app))),
        tokio::spawn(work::keep(Arc::clone(app))),
        tokio::spawn(refund_calls::keep(Arc::clone(app))),
    ];
    let stop = async {
        stop.await;
        // Streams of hints would be waited for like requests.
        app.hints.close();
    };
    server.run(http::router(app), stop).await;
    upkeep.iter().for_each(tokio::task::JoinHandle::abort);
    app.db.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// A method that the settings name and that nobody can pay by.
fn warn_of_gateways(app: &App) {
    let urls = [(GatewayName::MobileMoney, &app.settings.momo_url), (GatewayName::Card, &app.settings.card_url)];
    for (name, url) in urls {
        if !url.is_empty() && app.gateways.get(name).is_none() {
            tracing::warn!(gateway = %name, "its secrets file is not given: payments through it are not offered");
        }
    }
}
