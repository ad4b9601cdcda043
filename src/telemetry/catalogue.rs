//! Every metric that Skald has, and what it means. `tests/monitoring.rs` compares this with the code,
//! the operations page, the dashboard and the alerts.

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// What it is called: `skald_`, what is measured, the unit, `_total` for a counter.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it means, for people who see it for the first time.
    pub help: &'static str,
    /// The label sets under which it is there from the start, at 0; counters only.
    pub zeros: &'static [&'static [(&'static str, &'static str)]],
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from the start of the process.
    Counter,
    /// Up and down.
    Gauge,
    /// Many values, counted by size.
    Histogram,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    zeros: &'static [&'static [(&'static str, &'static str)]],
) -> Metric {
    Metric { name, kind: Kind::Counter, help, zeros }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help, zeros: &[] }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help, zeros: &[] }
}

/// There once, without labels.
const ONE: &[&[(&str, &str)]] = &[&[]];

/// Every metric, by what it is about.
pub const CATALOGUE: &[Metric] = &[
    gauge("skald_build_info", "1, with the version of the program as a label."),
    gauge("skald_ready", "Whether a check of /readyz passes, as of this answer: 1 or 0."),
    // Sagas and their steps.
    gauge("skald_sagas", "Sagas of the whole installation by status, as of this answer."),
    gauge("skald_sagas_awake", "Sagas in the memory of this node."),
    counter("skald_sagas_started_total", "Sagas that this node began.", ONE),
    counter(
        "skald_sagas_ended_total",
        "Sagas that came to their end at this node, by outcome.",
        &[&[("outcome", "COMPLETED")], &[("outcome", "CANCELLED")]],
    ),
    counter("skald_sagas_needed_attention_total", "How often a saga began to need attention.", ONE),
    histogram(
        "skald_saga_duration_seconds",
        "From the acceptance of a saga to its end, by outcome.",
    ),
    counter(
        "skald_step_attempts_total",
        "Commands decided on; attempt is first, or again for a repeat after a setback.",
        &[],
    ),
    counter(
        "skald_step_setbacks_total",
        "Attempts that came to no outcome, by what stood in the way.",
        &[],
    ),
    histogram(
        "skald_step_duration_seconds",
        "From the newest asking of a step to the commit of its outcome.",
    ),
    gauge(
        "skald_commands_outstanding",
        "Commands of this node's sagas that wait for their outcome, by queue.",
    ),
    counter(
        "skald_answers_ignored_total",
        "Answers that changed nothing, by kind.",
        &[&[("kind", "never_asked")]],
    ),
    gauge("skald_dead_letters_open", "Dead letters that nobody has decided about, at most 10,000."),
    counter("skald_dead_letters_total", "Messages that ended among the dead letters.", ONE),
    // The journal.
    gauge("skald_journal_waiting", "Transitions that wait for a commit."),
    counter("skald_journal_commits_total", "Transactions that wrote at least one transition.", ONE),
    counter("skald_journal_transitions_total", "Transitions that were written.", ONE),
    counter("skald_journal_commit_failures_total", "Transactions that were not committed.", ONE),
    histogram("skald_journal_batch_transitions", "Transitions in one transaction."),
    histogram(
        "skald_journal_commit_duration_seconds",
        "How long a transaction of the journal took.",
    ),
    gauge("skald_mark_lag", "History rows whose messages are not known to be confirmed, by kind."),
    // Nodes and shards.
    gauge("skald_nodes", "Nodes whose lease holds, as this node sees it."),
    gauge("skald_shards_owned", "Shards that this node owns."),
    gauge("skald_shards_unowned", "Shards that no node owns, as this node sees it."),
    counter("skald_shards_taken_total", "Shards that this node took over.", ONE),
    counter(
        "skald_shards_lost_total",
        "Shards that this node gave up (released) or lost to time (expired) or to another node (deposed).",
        &[&[("reason", "released")], &[("reason", "expired")], &[("reason", "deposed")]],
    ),
    counter("skald_lease_renewal_failures_total", "Renewals of the lease that failed.", ONE),
    // The bus.
    gauge(
        "skald_queue_messages_ready",
        "Messages that wait in a queue for a consumer, as of this answer.",
    ),
    counter(
        "skald_bus_connections_lost_total",
        "Connections to the broker that were lost, by purpose.",
        &[&[("purpose", "publishing")], &[("purpose", "consuming")]],
    ),
    // The stores.
    histogram(
        "skald_store_connection_wait_seconds",
        "How long calls waited for a connection of a pool.",
    ),
    counter(
        "skald_store_connection_timeouts_total",
        "Calls that got no connection of a pool in time.",
        &[],
    ),
    // The workers.
    counter("skald_worker_answers_total", "Answers of the workers in this process, by kind.", &[]),
    counter("skald_worker_poison_total", "Commands that a worker rejected for good.", ONE),
    counter(
        "skald_mails_total",
        "Mails that the notification worker was to send, by outcome.",
        &[],
    ),
    histogram("skald_worker_batch_commands", "Commands that a worker did at a time."),
    histogram("skald_worker_batch_duration_seconds", "How long a worker took for a batch."),
    counter(
        "skald_inventory_conflicts_total",
        "Products over which an inventory worker had to wait for another one.",
        ONE,
    ),
    counter(
        "skald_hint_locks_total",
        "Batches that wanted locks on hot products, by whether they were held.",
        &[&[("outcome", "held")], &[("outcome", "without")]],
    ),
    // Redis, and what is remembered.
    gauge("skald_redis_available", "Whether Redis is there, where it is configured: 1 or 0."),
    counter("skald_redis_calls_total", "Calls of Redis, by outcome.", &[]),
    histogram("skald_redis_call_duration_seconds", "How long calls of Redis took."),
    counter(
        "skald_cache_reads_total",
        "Orders and sagas looked for in the cache, by outcome.",
        &[
            &[("kind", "order"), ("outcome", "refused")],
            &[("kind", "saga"), ("outcome", "refused")],
        ],
    ),
    // The API.
    gauge("skald_live_streams", "Readers of streams."),
    counter("skald_live_streams_refused_total", "Readers who found no place.", ONE),
    histogram(
        "skald_http_request_duration_seconds",
        "How long requests took, by method, route and status.",
    ),
    // Traces.
    counter(
        "skald_spans_total",
        "Spans that were recorded, by what became of them.",
        &[&[("outcome", "sent")], &[("outcome", "lost")]],
    ),
];
