//! Errands carried out by the shipped workers on several stores, one after the other.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use proptest::test_runner::TestCaseError;
use skald::contract::reply::{ReplyBody, WorkOutcome};
use skald::ports::inventory::{InventoryChange, InventoryView, StockSet};
use skald::ports::mail::{Mail, MailError, Mailer};
use skald::ports::notification::{Notification, NotificationChange};
use skald::ports::work::{Answered, RecordKey, WorkRecord};
use skald::saga::id::Timestamp;
use skald::workers::inventory::InventoryWorker;
use skald::workers::notification::NotificationWorker;
use skald::workers::worker::{Answer, Poison, Worker};

use super::errand::{
    Change, End, Errand, PRODUCTS, all_keys, holding, product, refusal, reservation,
};
use super::same::{Named, plain, same};
use super::sample;
use super::stores::{ALL, Shop};
use super::tally::Tally;
use crate::world::desk::Luck;

type Checked<T = ()> = Result<T, TestCaseError>;

/// After so many errands everything is read. It takes longer than an errand.
const LOOK_EVERY: usize = 8;

/// A mailer of whose mails the same becomes, whoever sends them; how often each was sent.
#[derive(Default)]
struct Mailbox(Mutex<(Luck, BTreeMap<String, u32>)>);

impl Mailer for Mailbox {
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        let (luck, sent) = &mut *self.0.lock().unwrap();
        let send = |mail: &Mail| {
            if matches!(luck, Luck::Fine | Luck::Unheard) {
                *sent.entry(mail.message_id.clone()).or_default() += 1;
            }
            match luck {
                Luck::Fine => Ok(()),
                Luck::Fails | Luck::Unheard => Err(MailError::Transient("later".to_owned())),
                Luck::Never => Err(MailError::Undeliverable("never".to_owned())),
            }
        };
        mails.iter().map(send).collect()
    }
}

/// Both workers on the stores of a shop.
struct Staff {
    shop: Shop,
    inventory: InventoryWorker,
    notification: NotificationWorker,
    mailbox: Arc<Mailbox>,
}

impl Staff {
    fn of(shop: Shop, mailbox: Arc<Mailbox>) -> Self {
        let inventory = InventoryWorker::new(shop.inventory.clone());
        let notification =
            NotificationWorker::new(shop.notification.clone(), mailbox.clone(), "test");
        Self { shop, inventory, notification, mailbox }
    }
}

impl Named for Staff {
    fn name(&self) -> &'static str {
        self.shop.name
    }
}

/// The workers on each of the stores, at the same work.
pub struct Works<'a> {
    staffs: RefCell<Vec<Staff>>,
    /// Closes a shop's stores and opens them again; nothing where they are in memory.
    reopen: &'a dyn Fn(Shop) -> Shop,
    tally: &'a Tally,
    now: Cell<Timestamp>,
}

impl<'a> Works<'a> {
    pub fn new(shops: Vec<Shop>, reopen: &'a dyn Fn(Shop) -> Shop, tally: &'a Tally) -> Self {
        let staffs = shops.into_iter().map(|shop| Staff::of(shop, Arc::default())).collect();
        Self { staffs: RefCell::new(staffs), reopen, tally, now: Cell::new(sample::START) }
    }

    /// The stores, when all is done.
    pub fn shops(self) -> Vec<Shop> {
        self.staffs.into_inner().into_iter().map(|staff| staff.shop).collect()
    }

    /// Runs these errands.
    pub fn run(&self, errands: &[Errand]) -> Checked {
        for (id, on_hand) in PRODUCTS {
            if let Some(on_hand) = on_hand {
                self.same(id, |at| at.shop.inventory.set_on_hand(&id.into(), on_hand).unwrap())?;
            }
        }
        for (n, errand) in errands.iter().enumerate() {
            self.errand(errand)?;
            if n % LOOK_EVERY == 0 {
                self.look()?;
            }
        }
        self.look()
    }

    fn same<T: PartialEq + Debug>(
        &self,
        what: impl Debug,
        ask: impl Fn(&Staff) -> T,
    ) -> Checked<T> {
        same(&self.staffs.borrow(), what, ask)
    }

    fn errand(&self, errand: &Errand) -> Checked {
        match errand {
            Errand::Goods(goods) => {
                let commands: Vec<_> = goods.iter().map(|goods| goods.command()).collect();
                let answers = self.same(errand, |at| {
                    let answers = at.inventory.handle(&commands, self.now.get());
                    answers
                        .into_iter()
                        .map(|answer| answer.map_err(without_cause))
                        .collect::<Vec<_>>()
                })?;
                self.note_answers(&answers);
            }
            Errand::Mails { .. } => self.mails(errand)?,
            Errand::Count { product: n, on_hand } => {
                let id = product(*n);
                let set =
                    self.same(errand, |at| at.shop.inventory.set_on_hand(&id, *on_hand).unwrap())?;
                self.tally.note(match set {
                    StockSet::Set(_) => "Set",
                    StockSet::BelowReserved(_) => "BelowReserved",
                });
            }
            Errand::Transact(change) => self.transact(change)?,
            Errand::Note(notifications) => self.take_note(notifications)?,
            Errand::Wait(seconds) => {
                self.now.set(self.now.get().plus_millis(u64::from(*seconds) * 1_000));
            }
            Errand::Restart => {
                let staffs = self
                    .staffs
                    .take()
                    .into_iter()
                    .map(|Staff { shop, mailbox, .. }| Staff::of((self.reopen)(shop), mailbox));
                self.staffs.replace(staffs.collect());
                self.tally.note("Restarted");
            }
        }
        Ok(())
    }

    fn mails(&self, errand: &Errand) -> Checked {
        let Errand::Mails { mails, luck, ends } = errand else { return Ok(()) };
        let (now, commands) =
            (self.now.get(), mails.iter().map(|mail| mail.command()).collect::<Vec<_>>());
        let answers = self.same(errand, |at| {
            at.mailbox.0.lock().unwrap().0 = *luck;
            let parts = at.notification.claim(&commands, now);
            let claimed = parts.clone();
            if *ends == End::BeforeSending {
                return (claimed, Vec::new());
            }
            let posted = at.notification.post(&commands, &parts);
            if *ends == End::BeforeRecording {
                return (claimed, Vec::new());
            }
            (claimed, at.notification.record(&commands, parts, &posted, now))
        })?;
        self.note_answers(&answers.1);
        Ok(())
    }

    fn transact(&self, change: &Change) -> Checked {
        let Change { reserved, held, released, recorded } = change;
        let wanted = reserved.iter().map(|(n, _)| product(*n)).collect();
        let held: BTreeMap<u64, _> =
            held.iter().map(|(saga, lines)| (*saga, holding(lines))).collect();
        let record = WorkRecord {
            done: Some(Answered { generation: 9, outcome: refusal() }),
            ..WorkRecord::default()
        };
        let change = InventoryChange {
            // Whoever holds something has a record.
            records: recorded
                .iter()
                .copied()
                .chain(held.keys().copied())
                .map(|saga| (reservation(saga), record.clone()))
                .collect(),
            reserved: reserved.iter().map(|(n, by)| (product(*n), *by)).collect(),
            held: held.into_iter().map(|(saga, held)| (reservation(saga), held)).collect(),
            released: released.iter().map(|saga| reservation(*saga)).collect(),
        };
        let keys: BTreeSet<RecordKey> = change
            .held
            .keys()
            .chain(change.records.keys())
            .chain(&change.released)
            .cloned()
            .collect();
        let done = self.same(&change, |at| {
            at.shop.inventory.transact(&keys, &wanted, &mut |_| change.clone()).map_err(plain)
        })?;
        self.tally.note(if done.is_ok() { "Changed" } else { "Refused" });
        Ok(())
    }

    fn take_note(&self, notifications: &[(u8, bool)]) -> Checked {
        let notification = |(n, is_sent): &(u8, bool)| Notification {
            key: format!("note-{n}"),
            order_id: sample::order_id(0).to_string(),
            template: "ORDER_CONFIRMED".to_owned(),
            recipient: is_sent.then(|| "ada@example.org".to_owned()),
            outcome: if *is_sent { "SENT" } else { "NO_ADDRESS" }.to_owned(),
            at: self.now.get(),
        };
        let change = NotificationChange {
            records: BTreeMap::new(),
            notifications: notifications.iter().map(notification).collect(),
        };
        self.same(notifications, |at| {
            let store = &at.shop.notification;
            store.transact(&BTreeSet::new(), &mut |_| change.clone()).unwrap();
            store.counts().unwrap()
        })?;
        Ok(())
    }

    /// Reads everything.
    fn look(&self) -> Checked {
        let keys: BTreeSet<RecordKey> = all_keys().collect();
        let ids = PRODUCTS.map(|(id, _)| id.into()).into();
        self.same("the warehouse", |at| {
            let mut seen = InventoryView::default();
            let look = &mut |view: &InventoryView| {
                seen = view.clone();
                InventoryChange::default()
            };
            at.shop.inventory.transact(&keys, &ids, look).unwrap();
            (seen.records, seen.holdings, seen.products, seen.contended)
        })?;
        self.same("the products", |at| at.shop.inventory.products(None, ALL).unwrap())?;
        self.same("a page of products", |at| {
            at.shop.inventory.products(Some(&"harp".into()), 1).unwrap()
        })?;
        self.same("the notifications", |at| {
            let mut seen = BTreeMap::new();
            let look = &mut |records: &BTreeMap<RecordKey, WorkRecord>| {
                seen.clone_from(records);
                NotificationChange::default()
            };
            at.shop.notification.transact(&keys, look).unwrap();
            let sent = at.mailbox.0.lock().unwrap().1.clone();
            (seen, at.shop.notification.counts().unwrap(), sent)
        })?;
        Ok(())
    }

    fn note_answers(&self, answers: &[Result<Answer, Poison>]) {
        for answer in answers {
            match answer {
                Ok(Answer { name, body: ReplyBody::Settled(WorkOutcome::Failure(reason)) }) => {
                    self.tally.note(format!("{name}: {}", reason.code));
                }
                Ok(Answer { name, .. }) => self.tally.note(*name),
                Err(Poison(why)) => self.tally.note(why.clone()),
            }
        }
    }
}

/// Why a command will never be done, without the words of the database. A transaction that no shipped
/// worker makes may have left less reserved than is held; giving that back is refused.
fn without_cause(Poison(why): Poison) -> Poison {
    const REFUSED: &str = "the inventory store refused a row";
    Poison(if why.starts_with(REFUSED) { REFUSED.to_owned() } else { why })
}
