//! Which offices are open. An office is opened by the first call that needs it and closed when it is the least recently
//! used of too many, or was idle for long: memory grows with the offices in use, not with those that the server has.
//!
//! *Invariants*: an office is open at most once. One that a call, a stream or a queue holds is not closed. More than
//! [`Settings::open_max`] are never open. An office that cannot be opened is the trouble of its own callers.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use renaksi_domain::time::Timestamp;
use renaksi_ledger::LogOptions;
use renaksi_proto::clock::Clock;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use crate::alarm::{Alarms, noted};
use crate::catalog;
use crate::damage::Stop;
use crate::data::Data;
use crate::error::ServerError;
use crate::founding::{self, Founding};
use crate::office::Office;
use crate::people::Invited;

/// Offices open at once, unless somebody says otherwise.
pub const OPEN_MAX_DEFAULT: NonZeroU16 = NonZeroU16::new(64).unwrap();
/// How long an office stays open that nobody uses.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a call waits for another office to be closed.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(20);
/// How often a call that waits looks again.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(20);
/// The alarm looks this often: clocks are set, and a rehearsal's is played.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An office that is due within this time is not closed.
const DUE_SOON_MICROS: i64 = 2_000_000;
/// An office that could not be opened when it was due is tried again after this time.
const RING_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The code of an office that takes no writes until its log is mended or its epoch ended.
const LOG_BEHIND: &str = "LOG_BEHIND";

/// How a server keeps its offices.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Offices open at once, at most.
    pub open_max: NonZeroU16,
    /// How long an office stays open that nobody uses.
    pub idle_max: Duration,
    /// What rehearsal offices take for the time.
    pub played: Clock,
    /// How logs are written.
    pub log: LogOptions,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            open_max: OPEN_MAX_DEFAULT,
            idle_max: IDLE_MAX,
            played: Clock::System,
            log: LogOptions::default(),
        }
    }
}

/// The offices of a data folder.
#[derive(Debug)]
pub struct Offices {
    data: Data,
    settings: Settings,
    /// Nobody else serves the folder. None once everything is closed.
    lock: Mutex<Option<File>>,
    /// The office that `init` made.
    first: Uuid,
    /// What invites name.
    address: Mutex<String>,
    /// Every office that was asked for.
    slots: Mutex<HashMap<Uuid, Arc<Slot>>>,
    /// One permit for each office that may be open.
    room: Arc<Semaphore>,
    alarms: Arc<Alarms>,
    /// Offices that do not serve, with the code of why.
    failing: watch::Sender<BTreeMap<Uuid, String>>,
    count: AtomicUsize,
    /// One office is added at a time.
    adding: tokio::sync::Mutex<()>,
    closing: AtomicBool,
    began: Instant,
}

/// Where an office is kept while it is open.
#[derive(Debug)]
struct Slot {
    id: Uuid,
    data: Data,
    clock: Clock,
    place: Arc<tokio::sync::Mutex<Place>>,
    /// When it was last asked for, in milliseconds of the server's life.
    used_ms: AtomicU64,
}

/// Locked while the office is opened or closed, so whoever comes meanwhile waits and finds what became of it.
#[derive(Debug)]
enum Place {
    Closed,
    Open(Arc<Office>, OwnedSemaphorePermit),
    /// Closed after a fault of its disk or damage of its log. It stays so until the server starts again.
    Stopped(Stop),
}

impl Offices {
    /// The offices of a folder; none is opened.
    ///
    /// # Errors
    /// [`ServerError::NoOffice`]; [`ServerError::InUse`] when another server has the folder.
    pub fn new(data: &Data, settings: Settings) -> Result<Arc<Offices>, ServerError> {
        let data = data.first();
        let file = data.server_file()?;
        let lock = Mutex::new(Some(data.lock()?));
        let count = 1 + catalog::added(&data)?.len();
        Ok(Arc::new(Offices {
            lock,
            first: file.office,
            address: Mutex::new(file.address),
            slots: Mutex::default(),
            room: Arc::new(Semaphore::new(settings.open_max.get().into())),
            alarms: Arc::default(),
            failing: watch::Sender::default(),
            count: AtomicUsize::new(count),
            adding: tokio::sync::Mutex::default(),
            closing: AtomicBool::new(false),
            began: Instant::now(),
            settings,
            data,
        }))
    }

    /// The office that `init` made.
    pub fn first(&self) -> Uuid {
        self.first
    }

    /// How many offices the folder has.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// What invites name in this run.
    pub fn address(&self) -> String {
        locked(&self.address).clone()
    }

    /// What invites name from now on, in this run. Offices that are open keep what they have.
    pub fn set_address(&self, address: String) {
        *locked(&self.address) = address;
    }

    /// The offices that do not serve, each with the code of why.
    pub fn failing(&self) -> BTreeMap<Uuid, String> {
        self.failing.borrow().clone()
    }

    /// False when not one office serves.
    pub fn serves(&self) -> bool {
        self.failing.borrow().len() < self.count()
    }

    /// Tells when that changes.
    pub fn watch_failing(&self) -> watch::Receiver<BTreeMap<Uuid, String>> {
        self.failing.subscribe()
    }

    /// Ids and states of the offices that were asked for: open, closed, or why not.
    pub fn states(&self) -> Vec<(Uuid, String)> {
        let failing = self.failing.borrow();
        let state = |slot: &Arc<Slot>| match failing.get(&slot.id) {
            Some(code) => code.clone(),
            None if slot.is_open() => "open".to_owned(),
            None => "closed".to_owned(),
        };
        self.all_slots().iter().map(|slot| (slot.id, state(slot))).collect()
    }

    /// An office, opened if need be. While it is held it is not closed.
    ///
    /// # Errors
    /// [`ServerError::UnknownOffice`]; why it cannot be opened; [`ServerError::AllInUse`].
    pub async fn get(self: &Arc<Self>, id: Uuid) -> Result<Arc<Office>, ServerError> {
        let slot = self.slot(id)?;
        slot.used_ms.store(self.age_ms(), Ordering::Relaxed);
        let place = Arc::clone(&slot.place).lock_owned().await;
        match &*place {
            Place::Open(office, _) => return Ok(Arc::clone(office)),
            Place::Stopped(stop) => return Err(stop.clone().into()),
            Place::Closed => {}
        }
        let offices = Arc::clone(self);
        // In a task of its own: a caller who hangs up would leave an office half open.
        let opening = tokio::spawn(async move { offices.open(&slot, place).await });
        opening.await.unwrap_or(Err(ServerError::Panicked(id)))
    }

    async fn open(&self, slot: &Slot, mut place: OwnedMutexGuard<Place>) -> Result<Arc<Office>, ServerError> {
        let room = self.make_room().await?;
        if self.closing.load(Ordering::SeqCst) {
            return Err(ServerError::Stopped);
        }
        let (data, clock) = (slot.data.clone(), slot.clock.clone());
        let (log, alarms) = (self.settings.log.clone(), Arc::clone(&self.alarms));
        let opening = tokio::task::spawn_blocking(move || Office::open_among(&data, clock, log, alarms));
        let opened = opening.await.unwrap_or(Err(ServerError::Panicked(slot.id)));
        let mut office = opened.inspect_err(|error| {
            tracing::error!(office = %slot.id, error = error.whole(), "an office cannot be opened");
            self.failing.send_modify(|failing| drop(failing.insert(slot.id, error.code())));
        })?;
        office.file.address = self.address();
        let office = Arc::new(office);
        self.watch_stop(&office);
        *place = Place::Open(Arc::clone(&office), room);
        Ok(office)
    }

    /// Has it among the failing for as long as it takes no writes, and not otherwise.
    fn watch_stop(&self, office: &Office) {
        let id = office.shared.id.office;
        let clear = |failing: &mut BTreeMap<Uuid, String>| failing.remove(&id).is_some();
        self.failing.send_if_modified(clear);
        self.watch_mark(office);
        let (failing, mut stopped) = (self.failing.clone(), office.shared.watch_stopped());
        tokio::spawn(async move {
            // Ends with the office when it never stops.
            if let Ok(Some(stop)) = stopped.wait_for(Option::is_some).await.map(|stop| stop.clone()) {
                let code = ServerError::from(stop).code();
                failing.send_modify(|failing| drop(failing.insert(id, code)));
            }
        });
    }

    /// The same while its log is behind what was signed.
    fn watch_mark(&self, office: &Office) {
        let id = office.shared.id.office;
        let (failing, mut seen) = (self.failing.clone(), office.shared.mark.watch());
        let tell = move |is_behind: bool| {
            failing.send_if_modified(|failing| match (is_behind, failing.get(&id)) {
                (true, None) => failing.insert(id, LOG_BEHIND.to_owned()).is_none(),
                (false, Some(code)) if code == LOG_BEHIND => failing.remove(&id).is_some(),
                _ => false,
            });
        };
        tell(seen.borrow_and_update().is_some());
        tokio::spawn(async move {
            // Ends with the office.
            while seen.changed().await.is_ok() {
                tell(seen.borrow_and_update().is_some());
            }
        });
    }

    /// A permit to open one more; others are closed for it, the least recently used first.
    async fn make_room(&self) -> Result<OwnedSemaphorePermit, ServerError> {
        let began = Instant::now();
        loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                return Ok(room);
            }
            let closed = self.close_first(|_, _| true).await;
            if !closed && began.elapsed() > ROOM_WAIT_MAX {
                return Err(ServerError::AllInUse(self.settings.open_max.get()));
            }
            if !closed {
                tokio::time::sleep(ROOM_LOOK_EVERY).await;
            }
        }
    }

    /// Closes the office that was not used for longest, of those that nobody holds and that `may` be closed. Answers
    /// whether there was one.
    async fn close_first(&self, may: impl Fn(&Slot, &Office) -> bool) -> bool {
        let mut slots = self.all_slots();
        slots.retain(|slot| slot.is_open());
        slots.sort_by_key(|slot| slot.used_ms.load(Ordering::Relaxed));
        for slot in slots {
            let Ok(place) = Arc::clone(&slot.place).try_lock_owned() else { continue };
            // Nobody comes to hold it while its place is locked.
            let free = matches!(&*place, Place::Open(office, _)
                if Arc::strong_count(office) == 1 && may(&slot, office) && !self.is_due_soon(&slot));
            if free {
                close(place).await;
                return true;
            }
        }
        false
    }

    fn is_due_soon(&self, slot: &Slot) -> bool {
        let soon = Timestamp(slot.clock.now().0.saturating_add(DUE_SOON_MICROS));
        self.alarms.of(slot.id).is_some_and(|due| due <= soon)
    }

    /// Rings when something is due in an office, and closes those that were idle for long. Until `asked` is done.
    pub async fn keep(self: Arc<Self>, asked: impl Future<Output = ()>) {
        let mut asked = std::pin::pin!(asked);
        let noted = Arc::clone(&self);
        if let Err(error) = tokio::task::spawn_blocking(move || noted.read_notes()).await {
            tracing::error!(%error, "when the offices are due was not read");
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut failed = HashMap::new();
        loop {
            tokio::select! {
                () = &mut asked => return,
                _ = looks.tick() => {}
            }
            self.ring(&mut failed).await;
            let idle_ms = u64::try_from(self.settings.idle_max.as_millis()).unwrap_or(u64::MAX);
            let since = self.age_ms().saturating_sub(idle_ms);
            // One that stopped still gives what is durable of it to whoever asks.
            let idle = |slot: &Slot, office: &Office| {
                slot.used_ms.load(Ordering::Relaxed) < since && !office.shared.is_stopped()
            };
            while self.close_first(idle).await {}
        }
    }

    /// Learns when each office is due, without opening any.
    fn read_notes(&self) {
        let added = catalog::added(&self.data).unwrap_or_default();
        for id in [self.first].into_iter().chain(added) {
            // An office that is open has told by itself.
            match self.slot(id) {
                Ok(slot) if !slot.is_open() => self.alarms.set(id, noted(&slot.data)),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(office = %id, error = error.whole(), "an office cannot be served");
                    self.failing.send_modify(|failing| drop(failing.insert(id, error.code())));
                }
            }
        }
    }

    /// Lets the writers record what is due. Opening an office records it too.
    async fn ring(self: &Arc<Self>, failed: &mut HashMap<Uuid, Instant>) {
        failed.retain(|_, at| at.elapsed() < RING_AGAIN_AFTER);
        for (id, due) in self.alarms.all() {
            let is_due = self.slot(id).is_ok_and(|slot| due <= slot.clock.now());
            if !is_due || failed.contains_key(&id) {
                continue;
            }
            match self.get(id).await {
                Ok(office) => office.ring().await,
                Err(_) => drop(failed.insert(id, Instant::now())),
            }
        }
    }

    /// Adds an office to the folder.
    pub async fn add(self: &Arc<Self>, founding: Founding) -> Result<(Uuid, Invited), ServerError> {
        let offices = Arc::clone(self);
        let adding = tokio::spawn(async move {
            let _one = offices.adding.lock().await;
            let _room = offices.make_room().await?;
            let address = offices.address();
            let clock = offices.clock(founding.rehearsal);
            let added = founding::add(&offices.data, &founding, clock, &address).await?;
            offices.count.fetch_add(1, Ordering::Relaxed);
            Ok(added)
        });
        adding.await.unwrap_or(Err(ServerError::Stopped))
    }

    /// Closes every office, also those that a call still holds, and opens none any more.
    pub async fn close_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for slot in self.all_slots() {
            close(Arc::clone(&slot.place).lock_owned().await).await;
        }
        drop(locked(&self.lock).take());
    }

    fn slot(&self, id: Uuid) -> Result<Arc<Slot>, ServerError> {
        if let Some(slot) = locked(&self.slots).get(&id) {
            return Ok(Arc::clone(slot));
        }
        let data = if id == self.first { self.data.clone() } else { self.data.added(id) };
        if id != self.first && !data.office("").exists() {
            return Err(ServerError::UnknownOffice { wanted: id.to_string(), known: Vec::new() });
        }
        let clock = self.clock(data.server_file()?.rehearsal);
        let place = Arc::new(tokio::sync::Mutex::new(Place::Closed));
        let slot = Slot { id, data, clock, place, used_ms: AtomicU64::new(0) };
        // Somebody else may have come first.
        Ok(Arc::clone(locked(&self.slots).entry(id).or_insert_with(|| Arc::new(slot))))
    }

    fn all_slots(&self) -> Vec<Arc<Slot>> {
        locked(&self.slots).values().map(Arc::clone).collect()
    }

    fn clock(&self, rehearsal: bool) -> Clock {
        if rehearsal { self.settings.played.clone() } else { Clock::System }
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Slot {
    /// False also while it is being opened or closed.
    fn is_open(&self) -> bool {
        self.place.try_lock().is_ok_and(|place| matches!(*place, Place::Open(..)))
    }
}

/// Closes what is open there. The place is locked until the folder is let go of, so that nobody opens it meanwhile; its
/// room is given back with it.
async fn close(mut place: OwnedMutexGuard<Place>) {
    let Place::Open(office, room) = std::mem::replace(&mut *place, Place::Closed) else { return };
    if let Some(stop) = office.shared.why_stopped() {
        *place = Place::Stopped(stop);
    }
    let closing = tokio::task::spawn_blocking(move || {
        office.stop();
        drop((office, room, place));
    });
    if let Err(error) = closing.await {
        tracing::error!(%error, "an office was not closed as it should be");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
