//! `bench`: what Daybook promises, measured. See `bench --help`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use daybook_tests::bench::{self, Engine, Figures, Setup, journey};
use daybook_tests::workload;

const EXAMPLES: &str = "\
Benches:
  link      a phone with 500 cases comes back with 50 captures; 40 of its colleagues wait. Then idle
  fresh     a new phone takes the 500 cases: facts, entries, boards
  storm     100,000 accounts; 200 phones come back at once, 50 captures each, to a real server process
  growth    one more capture on a case with 50, 500, 5,000 entries
  document  a case with 10,000 entries as one Automerge document
  journey   payments from a gateway's callback into the ledger beside TPC-B, and quotes; on PostgreSQL only
  phone     capturing on a phone with 500 cases, beside a bare fsync on the same disk; its memory and size
  all       all of them, as a table; the storm on PostgreSQL too, with one server and with two

Every figure is printed with what it is to reach. The workload is one seeded generator, written down
in tests/src/workload/mod.rs. Use a release build for anything that is a time.

Examples:
  cargo run --release -p daybook-tests --bin bench -- all
  cargo run --release -p daybook-tests --bin bench -- storm --engine postgres
  cargo run -p daybook-tests --bin bench -- link --json";

/// Measures what Daybook promises.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    /// Which bench
    #[arg(value_enum)]
    bench: Bench,
    /// The server's engine
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Engine,
    /// Servers on the one database, for the storm on PostgreSQL
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    servers: u8,
    /// Connections of the journey's gateway, and clients of its TPC-B
    #[arg(long, default_value_t = journey::CLIENTS, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Print one JSON object a bench instead of a table
    #[arg(long)]
    json: bool,
    /// The workload's seed
    #[arg(long, default_value_t = workload::SEED)]
    seed: u64,
    /// Where databases and stores are made and removed: on the disk that is to be measured [default:
    /// the temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    Link,
    Fresh,
    Storm,
    Growth,
    Document,
    Journey,
    Phone,
    All,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A bench of memory is this program once more.
    if let Some(("memory-of", phone)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return bench::budget::be_a_phone(phone);
    }
    let cli = Cli::parse();
    let parent = cli.dir.clone().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&parent)?;
    anyhow::ensure!(cli.servers == 1 || cli.engine == Engine::Postgres, "several servers need --engine postgres");
    for (bench, engine, servers) in planned(&cli) {
        let dir = tempfile::tempdir_in(&parent).context("no place for databases")?;
        let setup = Setup { engine, servers: servers.into(), seed: cli.seed, dir: dir.path().to_owned() };
        let figures =
            run(bench, (&setup, cli.clients)).await.with_context(|| format!("bench {bench:?} on {engine:?}"))?;
        match engine {
            _ if cli.json => println!("{}", figures.json()),
            Engine::Sqlite => print!("{}", figures.table()),
            // The first line is the bench's name.
            Engine::Postgres => {
                let of = if servers == 1 { String::new() } else { format!(", {servers} servers") };
                print!("{}", figures.table().replacen('\n', &format!(" on PostgreSQL{of}\n"), 1));
            }
        }
    }
    Ok(())
}

/// What runs, in order, on which engine and with how many servers.
fn planned(cli: &Cli) -> Vec<(Bench, Engine, u8)> {
    if cli.bench != Bench::All {
        // TPC-B is pgbench's, which knows one engine.
        let engine = if cli.bench == Bench::Journey { Engine::Postgres } else { cli.engine };
        return vec![(cli.bench, engine, cli.servers)];
    }
    let each = [Bench::Link, Bench::Fresh, Bench::Storm, Bench::Growth, Bench::Document, Bench::Phone];
    let mut planned = each.map(|bench| (bench, cli.engine, 1)).to_vec();
    if cli.engine == Engine::Sqlite {
        planned.push((Bench::Storm, Engine::Postgres, 1));
    }
    planned.push((Bench::Storm, Engine::Postgres, 2));
    planned.push((Bench::Journey, Engine::Postgres, 1));
    planned
}

async fn run(bench: Bench, (setup, clients): (&Setup, u16)) -> anyhow::Result<Figures> {
    match bench {
        Bench::Link => bench::link::run(setup).await,
        Bench::Fresh => bench::fresh::run(setup).await,
        Bench::Storm => bench::storm::run(setup).await,
        Bench::Growth => bench::growth::run(setup).await,
        Bench::Document => bench::document::run(setup).await,
        Bench::Journey => journey::run(setup, journey::Size::full(clients)).await,
        Bench::Phone | Bench::All => bench::phone::run(setup).await,
    }
}
