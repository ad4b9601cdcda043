//! `skald demo`: orders through a Skald of its own, and the proof that everything adds up.
//!
//! | file | does |
//! |---|---|
//! | `catalogue` | what the shop sells (pure) |
//! | `orders` | what customers order (pure) |
//! | `load` | sends orders and waits for their ends |
//! | `ends` | when sagas end, as the bus tells it |
//! | `reads` | reads orders that are settled |
//! | `watch` | how far it has come |
//! | `stage` | what the demo runs on: a Skald in this process, or |
//! | `stack` | one in processes of its own, on |
//! | `services` | a PostgreSQL and a RabbitMQ for it alone |
//! | `process` | a process that does not outlive the demo |
//! | `folder` | where the data is kept |
//! | `cost` | what processes cost meanwhile |
//! | `audit` | reads what the API says, and checks it |
//! | `report` | what is printed (pure) |

mod audit;
mod catalogue;
mod cost;
mod ends;
mod folder;
mod load;
mod orders;
mod process;
mod reads;
mod report;
mod services;
mod stack;
mod stage;
mod watch;

use std::time::Duration;

use actix_web::rt::System;
use clap::{Arg, Args};
use fastrand::Rng;

use self::catalogue::{Catalogue, Demand};
use self::cost::Meter;
use self::folder::Folder;
use self::load::{Measured, Plan};
use self::orders::{Lines, Profile};
use self::reads::Reads;
use self::report::{Report, millis, per_second, percentile};
use self::stack::Stack;
use self::stage::Stage;
use super::failure::{Exit, Failure};
use super::output::{Output, print};
use super::serve::announce;
use super::settings::{Listen, Settings};
use crate::app;
use crate::orders::{OrderStatus, ProductId};
use crate::telemetry;

/// With fewer unfinished orders the time that the disk takes for a commit bounds the rate, with more
/// they only wait for each other. Each takes two file descriptors, of which a process often may have
/// 1,024.
const CONCURRENCY: u32 = 256;

/// As many faults as fit a screen; the rest is like them.
const SHOWN_FAULTS: usize = 10;

/// Runs orders through a Skald of its own.
#[derive(Args, Debug)]
#[command(mut_args(in_the_demo))]
pub struct Demo {
    /// How many orders to submit
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    orders: u64,
    /// Lines of every order [default: 5 to 15, as in TPC-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    lines: Option<u32>,
    /// How many orders may be unfinished at a time
    #[arg(long, value_name = "N", default_value_t = CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: u32,
    /// Submit so many orders a second, whatever becomes of those before, and count an order's time
    /// from when it was due; --concurrency bounds how many are unfinished all the same
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Have half of all lines ask for one of so many products
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    hot: Option<u32>,
    /// Read settled orders so many times in a turn, from the store and through the cache
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    reads: Option<u64>,
    /// With --stack, how many inventory workers there are
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    inventory_workers: u8,
    /// Tell what this process and its descendants cost, too
    #[arg(long, value_name = "NAME=PID", value_parser = cost::parse, hide = true)]
    measure: Vec<cost::Measured>,
    /// Run in separate processes on PostgreSQL and RabbitMQ: those of SKALD_STORE_URL and
    /// SKALD_BUS_URL, or new ones that scripts/with-stack starts
    #[arg(long)]
    stack: bool,
    /// Leave server and dashboard up at the end
    #[arg(long)]
    keep: bool,
    /// How the result is written
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Which orders to draw; the same number draws the same orders
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    listen: Listen,
}

/// Says what the common flags mean here; for `#[command(mut_args)]`.
fn in_the_demo(flag: Arg) -> Arg {
    match flag.get_id().as_str() {
        "data_dir" => flag.help(
            "Where the data is kept; new or empty [default: a new folder among the temporary files]",
        ),
        "log_filter" => flag.help(
            "What is logged: a level, or levels by module such as warn,skald=debug [default: warn]",
        ),
        "listen" => flag.help(
            "Where to listen; port 0 takes any that is free [default: that, or 127.0.0.1:7070 with --keep]",
        ),
        _ => flag,
    }
}

impl Demo {
    /// Runs the demo and prints what it found.
    ///
    /// # Errors
    /// When an order did not end, or something does not add up.
    pub fn run(mut self) -> Result<(), Failure> {
        let folder = Folder::fresh(self.settings.data_dir.take())?;
        let file = self.settings.config.clone();
        let mut sources = std::mem::take(&mut self.settings)
            .sources()
            .flag("--data-dir", "data_dir", Some(folder.path().to_owned()))
            .preference("log.filter", "warn");
        if !self.keep && self.listen.listen.is_none() {
            // Nobody but the demo itself wants to reach it.
            self.listen.listen = Some("127.0.0.1:0".to_owned());
        }
        sources = std::mem::take(&mut self.listen).add_to(sources);
        let mut config = sources.load()?;
        // Its customers are made up.
        config.mail.url = None;
        if !self.stack && (config.store.orchestrator.is_some() || !config.bus.addresses.is_empty())
        {
            let what = "a database or a broker is given, but the demo runs without them";
            return Err(Failure::new(Exit::Usage, "SERVICES_NOT_USED", what)
                .next("add --stack to use them, or give neither store.url nor bus.url"));
        }
        telemetry::log(&config.log)?;
        eprintln!("The data of this demo is kept in {}", folder.path());
        System::new().block_on(async {
            let mut stage = match self.stack {
                true => {
                    Stage::stack(Stack::start(config.clone(), file, self.inventory_workers).await?)
                }
                false => Stage::embedded(&config).await?,
            };
            let performed = tokio::select! {
                performed = self.perform(&mut stage) => performed,
                () = app::stop_signal() => Err(failed("it was told to stop")),
            };
            match performed {
                Ok(()) if self.keep => {
                    announce(stage.address(), &config);
                    stage.leave_up().await;
                    Ok(())
                }
                Ok(()) => {
                    stage.clear().await;
                    Ok(())
                }
                Err(failure) => {
                    stage.clear().await;
                    if self.stack {
                        return Err(failure);
                    }
                    Err(failure
                        .next(format!("look at it with: skald serve --data-dir {}", folder.path())))
                }
            }
        })
    }

    async fn perform(&self, stage: &mut Stage) -> Result<(), Failure> {
        let lines = self.lines.map_or(Lines::Profile, Lines::Exactly);
        let demand = Demand {
            orders: self.orders,
            mean_lines: lines.mean(),
            max_lines: lines.most(),
            hot: self.hot,
        };
        let catalogue = Catalogue::stock_for(demand, &mut Rng::with_seed(self.seed));
        let expected: Vec<(ProductId, i64)> = catalogue
            .products()
            .iter()
            .map(|product| (product.id.clone(), product.on_hand))
            .collect();
        stage.stock(&expected).await?;
        let processes = stage.processes().into_iter().chain(self.measure.iter().cloned());
        let meter = Meter::start(processes.collect());
        let measured = stage
            .load(Plan {
                url: format!("{}/v1/orders", stage.url()),
                profile: Profile::new(catalogue, lines, self.seed),
                orders: self.orders,
                concurrency: self.concurrency as usize,
                interval: self.rate.map(|rate| Duration::from_secs(1) / rate),
            })
            .await?;
        let costs = meter.read(self.orders);
        let url = format!("{}/v1/orders", stage.url());
        let reads = match self.reads {
            Some(reads) => Some(reads::measure(&url, &measured.accepted, reads).await?),
            None => None,
        };
        self.report(stage, measured, reads, costs, &expected).await
    }

    async fn report(
        &self,
        stage: &Stage,
        mut measured: Measured,
        reads: Option<Reads>,
        processes: Vec<cost::Cost>,
        expected: &[(ProductId, i64)],
    ) -> Result<(), Failure> {
        let audit = audit::read(stage.client()).await?;
        let mut faults = audit.faults_of_stock(expected);
        let stock_adds_up = faults.is_empty();
        faults.extend(audit.faults_of_orders(&measured.accepted));
        measured.latencies.sort_unstable();
        let orders = measured.accepted.len() as u64;
        let report = Report {
            orders,
            confirmed: audit.count(OrderStatus::Confirmed),
            cancelled: audit.count(OrderStatus::Cancelled),
            sagas_per_second: per_second(orders, measured.elapsed),
            p50_ms: millis(percentile(&measured.latencies, 50)),
            p95_ms: millis(percentile(&measured.latencies, 95)),
            p99_ms: millis(percentile(&measured.latencies, 99)),
            mails: audit.stats.mails(),
            stock_adds_up,
            transitions_per_commit: audit.stats.transitions_per_commit,
            cancelled_by_reason: audit.cancelled_by_reason,
            reads,
            processes,
        };
        match self.output {
            Output::Json => {
                let json =
                    serde_json::to_string(&report).map_err(|error| failed(error.to_string()))?;
                print(&json)?;
            }
            Output::Table => print(&report.to_text(expected.len()))?,
        }
        if faults.is_empty() {
            return Ok(());
        }
        let count = faults.len();
        faults.truncate(SHOWN_FAULTS);
        Err(failed(format!("{count} things do not add up:\n  {}", faults.join("\n  "))))
    }
}

fn failed(what: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, "DEMO_FAILED", what)
}
