use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Move {
    Offer,
    Attach { prefetch: usize },
    Detach { consumer: usize },
    Take { consumer: usize, limit: usize },
    Settle { delivery: usize },
    GiveBack { delivery: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => Just(Move::Offer),
        1 => (1..4_usize).prop_map(|prefetch| Move::Attach { prefetch }),
        1 => any::<usize>().prop_map(|consumer| Move::Detach { consumer }),
        6 => (any::<usize>(), 1..4_usize)
            .prop_map(|(consumer, limit)| Move::Take { consumer, limit }),
        4 => any::<usize>().prop_map(|delivery| Move::Settle { delivery }),
        3 => any::<usize>().prop_map(|delivery| Move::GiveBack { delivery }),
    ];
    prop::collection::vec(one, 0..200)
}

const MAX_LENGTH: usize = 12;
const DELIVERY_LIMIT: u32 = 2;

/// A queue beside a plain account of where its messages are.
struct Account {
    queue: Queue<u32>,
    consumers: Vec<ConsumerId>,
    taken: Vec<(ConsumerId, Entry<u32>)>,
    offered: u32,
    gone: usize,
}

impl Account {
    fn play(&mut self, next: Move) {
        match next {
            Move::Offer => {
                let room = self.length() < MAX_LENGTH;
                assert_eq!(self.queue.offer(self.offered).is_ok(), room);
                self.offered += u32::from(room);
            }
            Move::Attach { prefetch } => {
                self.consumers.push(self.queue.attach(prefetch, 0, Bell::default()));
            }
            Move::Detach { consumer } => {
                if let Some(at) = consumer.checked_rem(self.consumers.len()) {
                    self.queue.detach(self.consumers.remove(at));
                }
            }
            Move::Take { consumer, limit } => {
                if let Some(at) = consumer.checked_rem(self.consumers.len()) {
                    let mut taken = Vec::new();
                    self.queue.take(self.consumers[at], limit, &mut taken);
                    assert!(taken.len() <= limit);
                    let by = |entry| (self.consumers[at], entry);
                    self.taken.extend(taken.into_iter().map(by));
                }
            }
            Move::Settle { delivery } => {
                if let Some(at) = delivery.checked_rem(self.taken.len()) {
                    self.queue.settle(self.taken.remove(at).0);
                    self.gone += 1;
                }
            }
            Move::GiveBack { delivery } => {
                if let Some(at) = delivery.checked_rem(self.taken.len()) {
                    let (consumer, entry) = self.taken.remove(at);
                    let last = entry.redeliveries == DELIVERY_LIMIT;
                    let (_, dead) = self.queue.give_back(consumer, entry);
                    assert_eq!(dead.is_some(), last);
                    self.gone += usize::from(last);
                }
            }
        }
    }

    fn length(&self) -> usize {
        self.queue.ready() + self.queue.unsettled()
    }

    fn check(&self) {
        assert_eq!(self.length() + self.gone, self.offered as usize, "a message is missing");
        let known = |id| self.consumers.contains(&id);
        let orphans = self.taken.iter().filter(|(by, _)| !known(*by)).count();
        let held: usize = self.queue.consumers.iter().map(|known| known.unsettled).sum();
        assert_eq!(self.queue.unsettled(), held + orphans);
        for consumer in &self.queue.consumers {
            let out = self.taken.iter().filter(|(by, _)| *by == consumer.id).count();
            assert_eq!(consumer.unsettled, consumer.inbox.len() + out);
            assert!(consumer.unsettled <= consumer.prefetch, "prefetch exceeded");
            let idle = consumer.unsettled < consumer.prefetch;
            assert!(!idle || self.queue.ready() == 0, "a message waits beside an idle consumer");
        }
    }
}

proptest! {
    #[test]
    fn every_message_is_somewhere_and_nobody_idles_while_one_waits(moves in moves()) {
        let queue = Queue::new(MAX_LENGTH, DELIVERY_LIMIT);
        let mut account =
            Account { queue, consumers: vec![], taken: vec![], offered: 0, gone: 0 };
        for next in moves {
            account.play(next);
            account.check();
        }
    }
}

fn take_all(queue: &mut Queue<u32>, consumer: ConsumerId) -> Vec<Entry<u32>> {
    let mut taken = Vec::new();
    queue.take(consumer, usize::MAX, &mut taken);
    taken
}

fn items(entries: &[Entry<u32>]) -> Vec<u32> {
    entries.iter().map(|entry| entry.item).collect()
}

#[test]
fn what_comes_back_goes_out_first_in_its_old_order() {
    let mut queue = Queue::new(100, 5);
    let consumer = queue.attach(3, 0, Bell::default());
    for n in 0..5 {
        queue.offer(n).unwrap();
    }
    for entry in take_all(&mut queue, consumer) {
        queue.give_back(consumer, entry);
    }
    assert_eq!(items(&take_all(&mut queue, consumer)), [0, 1, 2]);
}

#[test]
fn consumers_take_turns() {
    let mut queue = Queue::new(100, 5);
    let consumers = [1, 10, 10].map(|prefetch| queue.attach(prefetch, 0, Bell::default()));
    for n in 0..7 {
        queue.offer(n).unwrap();
    }
    let got = consumers.map(|consumer| items(&take_all(&mut queue, consumer)));
    assert_eq!(got, [vec![0], vec![1, 3, 5], vec![2, 4, 6]]);
}

#[test]
fn a_bell_rings_only_for_a_consumer_that_had_nothing() {
    let mut queue = Queue::new(100, 5);
    let consumer = queue.attach(10, 0, Bell::default());
    assert_eq!(queue.offer(0).unwrap().len(), 1);
    assert_eq!(queue.offer(1).unwrap().len(), 0);
    take_all(&mut queue, consumer);
    assert_eq!(queue.offer(2).unwrap().len(), 1);
}

#[test]
fn what_a_cancelled_consumer_never_took_counts_as_never_delivered() {
    let mut queue = Queue::new(100, 0);
    let first = queue.attach(10, 0, Bell::default());
    queue.offer(0).unwrap();
    queue.detach(first);
    let second = queue.attach(10, 0, Bell::default());
    assert_eq!(take_all(&mut queue, second)[0].redeliveries, 0);
}
