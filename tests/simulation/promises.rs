//! What must hold after each step that touches it, and in the end.

use std::ops::Bound::{Included, Unbounded};

use skald::contract::message::Message;
use skald::contract::names::MessageId;
use skald::contract::reply;
use skald::orders::definition::{CONFIRM, RESERVE, SEND_CANCELLATION, SEND_CONFIRMATION};
use skald::orders::{OrderId, OrderStatus};
use skald::ports::door::{InputOutcome, NewInput, Request};
use skald::ports::inventory::Holding;
use skald::ports::ledger::{Entry, Marks, Seq, Shard};
use skald::ports::work::RecordKey;
use skald::saga::decide::decide;
use skald::saga::definition::Direction;
use skald::saga::effect::{IdempotencyKey, is_open};
use skald::saga::event::{Doubt, Event, Recorded};
use skald::saga::evolve::born;
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::saga::input::{Answer, Decision, Ignored, Input};
use skald::saga::state::{Phase, Saga};

use crate::faults::Fault;
use crate::invariants::{check_history, check_move, ensure};
use crate::world::World;
use crate::world::broker::Queue;
use crate::world::customers::Customer;
use crate::world::env::{self, Broken, Env};
use crate::world::store::InputRow;

/// A customer was told that its order is accepted: it is durable, and always the same.
pub fn accepted(env: &Env, customer: usize, order: OrderId) -> Result<(), Broken> {
    let Customer { told, place, .. } = env.customers[customer];
    ensure(env::whose(order) == place, || {
        format!("acceptance: customer {customer} was told of {order}, which is another one's")
    })?;
    ensure(told.is_none_or(|told| told == order), || {
        format!("acceptance: customer {customer} got {order} after {told:?}")
    })?;
    ensure(env.store.orders.contains_key(&order), || {
        format!("acceptance: order {order} is accepted and not stored")
    })
}

/// A saga was moved by an entry that was just committed.
pub fn moved(env: &Env, before: Option<&Saga>, entry: &Entry) -> Result<(), Broken> {
    let definition = env.rules.definition();
    let id = entry.saga.id;
    let (state, events) = match before {
        Some(before) => (before.state.clone(), &entry.events[..]),
        None => {
            let (first, rest) = entry.events.split_first().ok_or("a birth without an event")?;
            (born(id, first).map_err(|error| error.to_string())?.state, rest)
        }
    };
    if !events.is_empty() {
        let after = check_move(definition, state, events)
            .map_err(|broken| format!("saga {id}: {broken}"))?;
        ensure(after == entry.saga.state, || format!("saga {id}: its events make another state"))?;
    }
    entry.events.iter().try_for_each(|recorded| outcome(env, id, &recorded.event))
}

/// What an outcome promises about the rest of the world.
fn outcome(env: &Env, saga: SagaId, event: &Event) -> Result<(), Broken> {
    match event {
        Event::StepSucceeded { step, .. } if step.as_str() == CONFIRM => holds_all(env, saga),
        Event::RolledBack { .. } => holds_nothing(env, saga),
        Event::SagaCompleted => is_notified(env, saga, SEND_CONFIRMATION),
        Event::SagaCancelled { .. } => is_notified(env, saga, SEND_CANCELLATION),
        _ => Ok(()),
    }
}

fn held(env: &Env, saga: SagaId) -> Option<&Holding> {
    env.warehouse.holdings.get(&RecordKey { saga, step: RESERVE.into() })
}

fn holds_all(env: &Env, saga: SagaId) -> Result<(), Broken> {
    let order = env.order_of(saga).and_then(|order| env.store.orders.get(&order));
    let wanted = order.map(|order| &order.wanted);
    ensure(held(env, saga) == wanted, || {
        format!("confirmed: saga {saga} holds {:?} of {wanted:?}", held(env, saga))
    })
}

fn holds_nothing(env: &Env, saga: SagaId) -> Result<(), Broken> {
    ensure(held(env, saga).is_none(), || {
        format!("rolled back: saga {saga} holds {:?}", held(env, saga))
    })
}

fn is_notified(env: &Env, saga: SagaId, step: &str) -> Result<(), Broken> {
    let prefix = format!("{saga}:{step}:");
    let found = env.post.notifications.range((Included(prefix.clone()), Unbounded)).next();
    ensure(found.is_some_and(|(key, _)| key.starts_with(&prefix)), || {
        format!("ended: the notification of {prefix} is not recorded")
    })
}

/// The warehouse agrees with itself and with the sagas.
pub fn warehouse(env: &Env) -> Result<(), Broken> {
    let mut sums = Holding::new();
    for (RecordKey { saga, .. }, holding) in &env.warehouse.holdings {
        for (product, amount) in holding {
            *sums.entry(product.clone()).or_default() += amount;
        }
        let row = env.store.sagas.get(saga);
        let row = row.ok_or_else(|| format!("orphan: {saga} holds {holding:?}"))?;
        let order = env.store.orders.get(&row.order).ok_or("a saga without its order")?;
        ensure(*holding == order.wanted, || {
            format!("holding: {saga} holds {holding:?} of {:?}", order.wanted)
        })?;
    }
    for (product, (on_hand, reserved)) in &env.warehouse.products {
        let held = sums.get(product).copied().unwrap_or(0);
        ensure(held == *reserved && (0..=*on_hand).contains(reserved), || {
            format!("stock: {product}: {reserved} of {on_hand} reserved, {held} held")
        })?;
    }
    for row in env.store.sagas.values() {
        match row.saga.state.phase {
            Phase::RolledBack(_) | Phase::Cancelled(_) => holds_nothing(env, row.saga.id)?,
            _ if row.saga.state.succeeded(&CONFIRM.into()) => holds_all(env, row.saga.id)?,
            _ => {}
        }
    }
    Ok(())
}

/// A mail is about to be sent under this key.
pub fn to_be_mailed(env: &Env, key: &IdempotencyKey) -> Result<(), Broken> {
    ensure(!env.post.notifications.contains_key(&key.to_string()), || {
        format!("mail: {key} is sent again although it is recorded")
    })
}

/// A mail was, or may have been, sent under this key.
pub fn mailed(env: &Env, key: &IdempotencyKey) -> Result<(), Broken> {
    let status = env.order_of(key.saga).and_then(|order| env.store.orders.get(&order));
    let status = status.map(|order| order.status);
    let wanted = match key.step.as_str() {
        SEND_CONFIRMATION => OrderStatus::Confirmed,
        _ => OrderStatus::Cancelled,
    };
    ensure(status == Some(wanted), || format!("mail: {key} is sent while it is {status:?}"))?;
    ensure(key.generation == 1, || format!("mail: {key} is a second mail"))
}

/// A worker acknowledged a command: a reply to it is safe.
pub fn command_acknowledged(env: &Env, message: &Message) -> Result<(), Broken> {
    let Some(id) = MessageId::parse(&message.id) else { return Ok(()) };
    ensure(env.seen.replies.contains(&(id.saga, id.sequence)), || {
        format!("inbox: {} was acknowledged without a reply", message.id)
    })
}

/// A shard's owner acknowledged a reply: the store knows what it says.
pub fn reply_acknowledged(env: &Env, message: &Message) -> Result<(), Broken> {
    let Ok((id, answer)) = reply::read(message) else { return Ok(()) };
    let answer = answer.unwrap_or_else(Answer::from);
    let row = env.store.sagas.get(&id.saga);
    let saga = &row.ok_or("inbox: a reply to an unknown saga was acknowledged")?.saga;
    let input = Input::Answer { to: id.sequence, answer };
    let decision = decide(env.rules.definition(), saga, &input, env.now);
    let is_known =
        matches!(decision, Ok(Decision::Ignored(Ignored::Settled | Ignored::Superseded)));
    ensure(is_known, || format!("inbox: {} was acknowledged before its commit", message.id))
}

/// A message of a saga arrived at the broker: what it tells of is committed.
pub fn published(env: &Env, id: MessageId) -> Result<(), Broken> {
    let MessageId { saga, sequence } = id;
    let version = env.store.sagas.get(&saga).map_or(0, |row| row.saga.state.version);
    ensure(sequence <= version, || {
        format!("outbox: {saga}:{sequence} was published while the saga is at {version}")
    })
}

/// What became of a wish is on record: it is what happened to the saga.
pub fn wish_settled(before: &Saga, entry: &Entry, row: &InputRow) -> Result<(), Broken> {
    let Some(outcome) = &row.outcome else { return Ok(()) };
    let after = &entry.saga.state;
    let moved = !entry.events.is_empty();
    let NewInput { request, if_version, .. } = &row.input;
    let outdated = if_version.is_some_and(|wanted| wanted != before.state.version);
    let fits = match outcome {
        InputOutcome::VersionMismatch { .. } => outdated && !moved,
        InputOutcome::Ignored | InputOutcome::Rejected { .. } => !outdated && !moved,
        InputOutcome::Applied { version } => {
            let is_done = match request {
                Request::Cancel { .. } => after.rollback_reason().is_some(),
                Request::Retry { .. } | Request::CommandLost { .. } => moved,
            };
            !outdated && is_done && *version == after.version
        }
    };
    ensure(fits, || {
        format!(
            "wish: {request:?} if {if_version:?} was told {outcome:?}, and made {after:?} of {before:?}"
        )
    })
}

/// Marks moved on: what they passed is safe at the broker, or of no interest, or on record as lost.
pub fn marks_advanced(env: &Env, shard: Shard, before: Marks) -> Result<(), Broken> {
    let now = env.marks(shard);
    let rows = env.rows(shard);
    for (saga, recorded) in &rows[before.commands as usize..now.commands as usize] {
        ensure(command_is_safe(env, *saga, recorded), || {
            format!("outbox: the mark passed the command {saga}:{}", recorded.sequence)
        })?;
    }
    for (saga, recorded) in &rows[before.events as usize..now.events as usize] {
        let safe =
            !is_announced(&recorded.event) || env.seen.events.contains(&(*saga, recorded.sequence));
        ensure(safe, || format!("outbox: the mark passed the event {saga}:{}", recorded.sequence))?;
    }
    Ok(())
}

/// Who sends what was committed in a shard knows its rows up to `known`, and waits for no others.
pub fn all_is_known(env: &Env, (shard, epoch): (Shard, i64), known: Seq) -> Result<(), Broken> {
    let row = &env.store.shards[usize::from(shard)];
    ensure(row.epoch != epoch || row.last_seq() == known, || {
        format!(
            "outbox: shard {shard} has {} rows, and nobody looks for those after {known}",
            row.last_seq()
        )
    })
}

fn command_is_safe(env: &Env, saga: SagaId, recorded: &Recorded) -> bool {
    if !matches!(recorded.event, Event::StepAsked { .. })
        || env.seen.commands.contains(&(saga, recorded.sequence))
    {
        return true;
    }
    let row = env.store.sagas.get(&saga);
    let open = row.is_some_and(|row| is_open(&row.saga, recorded.sequence));
    !open || is_on_record(env, saga, recorded.sequence)
}

fn is_on_record(env: &Env, saga: SagaId, asked: Sequence) -> bool {
    env.store.inputs.iter().any(|row| {
        row.input.saga == saga
            && matches!(row.input.request, Request::CommandLost { to, .. } if to == asked)
    })
}

/// Whether the world hears of an event, told apart from the script.
fn is_announced(event: &Event) -> bool {
    match event {
        Event::SagaStarted(_)
        | Event::StepSucceeded { .. }
        | Event::RolledBack { .. }
        | Event::AttentionRaised { .. }
        | Event::StepFailed { .. }
        | Event::StepUndone { .. }
        | Event::StepGivenUp { doubt: Doubt::RefusedLate(_), .. } => true,
        Event::StepGivenUp { doubt: Doubt::NoAnswer(_), .. }
        | Event::StepAsked { .. }
        | Event::StepDeferred { .. }
        | Event::StepRefused { .. }
        | Event::RollbackStarted { .. }
        | Event::DeadlinePassed
        | Event::RetryRequested { .. }
        | Event::SagaCompleted
        | Event::SagaCancelled { .. } => false,
    }
}

/// Why a calm world is not at its end yet; none where it is.
pub fn unfinished(world: &World) -> Option<Broken> {
    let env = &world.env;
    let rows_are_sent = (0..).zip(&env.store.shards).find_map(|(shard, row)| {
        let last = Marks { commands: row.last_seq(), events: row.last_seq() };
        (row.marks != last)
            .then(|| format!("the marks of shard {shard} stand at {:?} of {last:?}", row.marks))
    });
    if !env.broker.is_quiet() {
        let held = |queue: &Queue| (queue.ready.len(), queue.unsettled.clone());
        let queues: Vec<_> = env.broker.queues.iter().map(held).collect();
        return Some(format!("messages are still on their way, in queues: {queues:?}"));
    }
    unfinished_but_for_events(world).or(rows_are_sent)
}

/// Why a calm world is not at its end yet but for the events that somebody's full queue does not take.
pub fn unfinished_but_for_events(world: &World) -> Option<Broken> {
    let env = &world.env;
    if let Some(row) = env.store.sagas.values().find(|row| !row.saga.state.phase.is_end()) {
        return Some(format!("saga {} has not ended: {:?}", row.saga.id, row.saga.state));
    }
    if let Some(row) = env.store.inputs.iter().find(|row| row.outcome.is_none()) {
        return Some(format!("the input {:?} has no outcome", row.input.request));
    }
    let waits = |n: &usize| env.customers[*n].told.is_none();
    (0..env.customers.len()).find(waits).map(|n| format!("customer {n} was never told"))
}

/// What holds in the end.
pub fn in_the_end(world: &World) -> Result<(), Broken> {
    let env = &world.env;
    warehouse(env)?;
    ensure(env.store.orders.len() <= env.customers.len(), || {
        format!(
            "acceptance: {} orders of {} customers",
            env.store.orders.len(),
            env.customers.len()
        )
    })?;
    for row in env.store.sagas.values() {
        let id = row.saga.id;
        let rows = env.rows(row.shard).iter().filter(|(saga, _)| *saga == id);
        let history: Vec<Recorded> = rows.map(|(_, recorded)| recorded.as_ref().clone()).collect();
        check_history(id, &history, &row.saga).map_err(|broken| format!("saga {id}: {broken}"))?;
        let status = env.store.orders.get(&row.order).map(|order| order.status);
        let wanted = match row.saga.state.phase {
            Phase::Completed => OrderStatus::Confirmed,
            _ => OrderStatus::Cancelled,
        };
        ensure(status == Some(wanted), || format!("order of {id} is {status:?}"))?;
        let undone = history.iter().any(|recorded| {
            matches!(&recorded.event, Event::StepAsked { direction: Direction::Undo, .. })
        });
        ensure(!(undone && wanted == OrderStatus::Confirmed), || {
            format!("saga {id} was undone and completed")
        })?;
    }
    wishes_came_true(env)?;
    letters_in_the_end(env)?;
    mails_in_the_end(env)
}

/// Whoever was told that an order is cancelled finds it so.
fn wishes_came_true(env: &Env) -> Result<(), Broken> {
    let is_cancelled = |row: &&InputRow| {
        matches!(row.input.request, Request::Cancel { .. })
            && matches!(row.outcome, Some(InputOutcome::Applied { .. }))
    };
    for InputRow { input, .. } in env.store.inputs.iter().filter(is_cancelled) {
        let order = env.order_of(input.saga).and_then(|order| env.store.orders.get(&order));
        let status = order.map(|order| order.status);
        ensure(status == Some(OrderStatus::Cancelled), || {
            format!("wish: the order of {} was cancelled and is {status:?}", input.saga)
        })?;
    }
    Ok(())
}

/// A mail is sent. Only if whoever sent it before could not record it may it be sent again: its claim
/// had run out, it was never told that the mail was sent, or it is he who was too slow and is at it now.
pub fn mailed_again(
    env: &Env,
    key: &IdempotencyKey,
    claimed: Timestamp,
    until: Timestamp,
) -> Result<(), Broken> {
    let Some((held_until, told)) = env.seen.mails.get(&key.to_string()) else { return Ok(()) };
    let excused = *held_until <= claimed
        || until <= env.now
        || !told
        || env.faults.of(Fault::WorkerClock) > 0;
    ensure(excused, || format!("mail: {key} is sent again for no reason"))
}

/// Every mail that is on record as sent was sent.
fn mails_in_the_end(env: &Env) -> Result<(), Broken> {
    let mut sent = env.post.notifications.iter().filter(|(_, outcome)| *outcome == "SENT");
    let unsent = sent.find(|(key, _)| !env.seen.mails.contains_key(*key));
    ensure(unsent.is_none(), || format!("mail: {unsent:?} is on record, and was never sent"))
}

/// Every message that died is kept.
fn letters_in_the_end(env: &Env) -> Result<(), Broken> {
    let lost = env.broker.died.iter().find(|died| !env.store.letters.contains(*died));
    ensure(lost.is_none(), || format!("letters: nobody kept {lost:?}"))
}
