//! Who looks at what, and when they are told to look again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::http::blocking::Blocking;
use crate::http::problem::{Kind, Problem};
use crate::http::stats::sagas_by_status;
use crate::ports::StoreError;
use crate::ports::pokes::{Heard, Pokes};
use crate::ports::queries::Queries;
use crate::saga::id::{SagaId, Sequence};
use crate::saga::state::SagaStatus;

/// Streams of one node. Each is a connection that stays; more readers than this had better look at
/// metrics.
const STREAMS: usize = 256;

/// How often the store is looked at for all streams together. What moves at other nodes shows this much
/// later where there are no pokes from there.
const GLANCE: Duration = Duration::from_secs(3);

/// The pause between two looks at the list: under load it changes with each commit.
const LIST_PAUSE: Duration = Duration::from_secs(1);

/// How many sagas stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Events of all sagas, ever.
    pub events: u64,
    /// Sagas by status, in the order in which they are shown.
    pub sagas: Vec<(SagaStatus, u64)>,
}

/// Reads the overview. Blocks.
pub fn overview(queries: &dyn Queries) -> Result<Overview, StoreError> {
    // In this order: what moves in between is looked at once more.
    let events = queries.events()?;
    Ok(Overview { events, sagas: sagas_by_status(&queries.counts()?) })
}

/// Tells streams to look again.
pub struct Live {
    pokes: Arc<dyn Pokes>,
    queries: Arc<dyn Queries>,
    blocking: Arc<Blocking>,
    seats: Mutex<Seats>,
    taken: Notify,
    overview: watch::Sender<Arc<Overview>>,
    ended: watch::Sender<bool>,
}

/// Who looks at what.
#[derive(Default)]
struct Seats {
    lists: usize,
    sagas: HashMap<SagaId, Followed>,
    in_all: usize,
}

/// A saga that somebody looks at.
struct Followed {
    by: usize,
    /// As the newest glance found it.
    version: Sequence,
    moved: watch::Sender<()>,
}

/// A reader's place. Given up when dropped.
pub struct Seat<T> {
    live: Arc<Live>,
    saga: Option<SagaId>,
    /// Changes when it is time to look again.
    pub news: watch::Receiver<T>,
    /// Becomes true when all streams end.
    pub ended: watch::Receiver<bool>,
}

impl Live {
    /// Nobody looks yet.
    pub fn new(pokes: Arc<dyn Pokes>, queries: Arc<dyn Queries>, blocking: Arc<Blocking>) -> Self {
        gauge!("skald_live_streams").set(0.0);
        Self {
            pokes,
            queries,
            blocking,
            seats: Mutex::default(),
            taken: Notify::new(),
            overview: watch::Sender::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// A place for somebody who looks at one saga.
    ///
    /// # Errors
    /// When there are too many.
    pub fn follow_saga(self: &Arc<Self>, id: SagaId) -> Result<Seat<()>, Problem> {
        let mut seats = self.take_seat()?;
        let followed = seats.sagas.entry(id).or_insert_with(|| Followed {
            by: 0,
            version: 0,
            moved: watch::Sender::new(()),
        });
        followed.by += 1;
        let news = followed.moved.subscribe();
        drop(seats);
        Ok(self.seat(Some(id), news))
    }

    /// A place for somebody who looks at all of them.
    ///
    /// # Errors
    /// When there are too many.
    pub fn follow_list(self: &Arc<Self>) -> Result<Seat<Arc<Overview>>, Problem> {
        self.take_seat()?.lists += 1;
        Ok(self.seat(None, self.overview.subscribe()))
    }

    fn take_seat(&self) -> Result<MutexGuard<'_, Seats>, Problem> {
        let mut seats = self.lock();
        if seats.in_all >= STREAMS || *self.ended.borrow() {
            counter!("skald_live_streams_refused_total").increment(1);
            let what = format!("this node has no more than {STREAMS} streams at a time");
            return Err(Problem::new(Kind::Overloaded, what).with_retry_after(30));
        }
        seats.in_all += 1;
        gauge!("skald_live_streams").set(seats.in_all as f64);
        Ok(seats)
    }

    fn seat<T>(self: &Arc<Self>, saga: Option<SagaId>, news: watch::Receiver<T>) -> Seat<T> {
        self.taken.notify_one();
        Seat { live: Arc::clone(self), saga, news, ended: self.ended.subscribe() }
    }

    fn give_up_seat(&self, saga: Option<SagaId>) {
        let mut seats = self.lock();
        seats.in_all -= 1;
        gauge!("skald_live_streams").set(seats.in_all as f64);
        let Some(saga) = saga else {
            seats.lists -= 1;
            return;
        };
        if let Some(followed) = seats.sagas.get_mut(&saga) {
            followed.by -= 1;
            if followed.by == 0 {
                seats.sagas.remove(&saga);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all streams, and refuses new ones.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Tells streams to look again, until they are all ended. While nobody looks it does nothing.
    pub async fn watch(self: Arc<Self>) {
        let mut ended = self.ended.subscribe();
        let looking = async {
            loop {
                self.taken.notified().await;
                self.while_somebody_looks().await;
            }
        };
        tokio::select! {
            () = looking => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }

    async fn while_somebody_looks(&self) {
        let mut pokes = self.pokes.listen();
        // At once: what moved before this listened is found by looking.
        let (mut glance_at, mut list_at) = (Instant::now(), Instant::now());
        let mut is_list_stale = false;
        while self.lock().in_all > 0 {
            tokio::select! {
                heard = pokes.hear() => {
                    self.pass_on(&heard);
                    is_list_stale = true;
                }
                () = sleep_until(glance_at) => {
                    self.glance().await;
                    is_list_stale = true;
                    glance_at = Instant::now() + GLANCE;
                }
                () = sleep_until(list_at), if is_list_stale => {
                    self.look_at_list().await;
                    is_list_stale = false;
                    list_at = Instant::now() + LIST_PAUSE;
                }
            }
        }
    }

    fn pass_on(&self, heard: &Heard) {
        let seats = self.lock();
        match heard {
            Heard::Moved(moved) => {
                let followed = moved.iter().filter_map(|id| seats.sagas.get(id));
                followed.for_each(|followed| followed.moved.send_replace(()));
            }
            Heard::Anything => {
                seats.sagas.values().for_each(|followed| followed.moved.send_replace(()));
            }
        }
    }

    /// Finds out which of the sagas that somebody looks at have moved.
    async fn glance(&self) {
        let ids: Vec<SagaId> = self.lock().sagas.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let queries = Arc::clone(&self.queries);
        // A store that does not answer is asked again at the next glance.
        let found = self.blocking.run(move || queries.versions(&ids)).await;
        self.note(found.unwrap_or_default());
    }

    fn note(&self, versions: BTreeMap<SagaId, Sequence>) {
        let mut seats = self.lock();
        for (id, version) in versions {
            if let Some(followed) = seats.sagas.get_mut(&id).filter(|it| it.version != version) {
                followed.version = version;
                followed.moved.send_replace(());
            }
        }
    }

    /// Finds out how the list looks, if somebody looks at it.
    async fn look_at_list(&self) {
        if self.lock().lists == 0 {
            return;
        }
        let queries = Arc::clone(&self.queries);
        if let Ok(found) = self.blocking.run(move || overview(queries.as_ref())).await {
            self.overview.send_if_modified(|known| {
                let is_news = **known != found;
                if is_news {
                    *known = Arc::new(found);
                }
                is_news
            });
        }
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        self.live.give_up_seat(self.saga);
    }
}
