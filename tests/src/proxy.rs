//! A TCP proxy between device and server that does something once so many bytes have passed: the moment of a fault is a
//! byte position, not a race with a clock.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Bytes forwarded at once, so that a position is hit within a frame.
const CHUNK_BYTES: usize = 512;

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the device to the server.
    Up,
    /// From the server to the device.
    Down,
}

/// What happens once.
type Fault = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    up: AtomicU64,
    down: AtomicU64,
    fault: Mutex<Option<(Way, u64, Fault)>>,
    closed: AtomicBool,
}

/// A running proxy; its threads end with the connections and the process.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Forwards a free loopback port to `server`.
    #[must_use]
    pub fn start(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let shared = Arc::new(Shared::default());
        let (server, seen) = (server.to_owned(), Arc::clone(&shared));
        thread::spawn(move || {
            for device in listener.incoming().flatten() {
                if seen.closed.load(Ordering::Acquire) {
                    return;
                }
                // A server that is down: the device sees a connection that ends at once.
                if let Ok(server) = TcpStream::connect(&server) {
                    join(device, server, &seen);
                }
            }
        });
        Proxy { address, shared }
    }

    /// Where devices connect.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Does `fault` once `bytes` more have passed that way.
    pub fn after(&self, way: Way, bytes: u64, fault: impl FnOnce() + Send + 'static) {
        let at = self.counter(way).load(Ordering::Acquire) + bytes;
        *self.shared.fault.lock().expect("no panic inside") = Some((way, at, Box::new(fault)));
    }

    /// Whether the fault of the last [`Proxy::after`] has happened; it no longer will.
    #[must_use]
    pub fn struck(&self) -> bool {
        self.shared.fault.lock().expect("no panic inside").take().is_none()
    }

    /// Bytes passed so far.
    #[must_use]
    pub fn passed(&self, way: Way) -> u64 {
        self.counter(way).load(Ordering::Acquire)
    }

    fn counter(&self, way: Way) -> &AtomicU64 {
        self.shared.counter(way)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // Wakes the listener so that its thread ends.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn counter(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    fn count(&self, way: Way, bytes: usize) {
        let passed = self.counter(way).fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64;
        let mut fault = self.fault.lock().expect("no panic inside");
        if fault.as_ref().is_some_and(|(of, at, _)| *of == way && *at <= passed)
            && let Some((_, _, strike)) = fault.take()
        {
            strike();
        }
    }
}

fn join(device: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let pairs = [(device.try_clone(), server.try_clone(), Way::Up), (Ok(server), Ok(device), Way::Down)];
    for (from, to, way) in pairs {
        let (Ok(from), Ok(to)) = (from, to) else { return };
        let shared = Arc::clone(shared);
        thread::spawn(move || forward(from, to, way, &shared));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, way: Way, shared: &Shared) {
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        shared.count(way, read);
        if to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
