//! Waking an I/O loop, at most once per sleep.
//!
//! The protocol, of which the loom tests below try every interleaving: whoever has something for the loop puts it where the loop
//! will look, and then calls [`notify`](Waker::notify); the loop asks [`may_sleep`](Waker::may_sleep) before it waits, calls
//! [`take`](Waker::take) after it, and only then looks. So what was put is seen, without a sleep in between.

use std::io;
use std::sync::Arc;

use crate::sync::Mutex;

/// What ends the wait of a loop: its epoll's eventfd.
pub(crate) trait Wake {
    fn wake(&self) -> io::Result<()>;
}

impl Wake for mio::Waker {
    fn wake(&self) -> io::Result<()> {
        mio::Waker::wake(self)
    }
}

struct State<W> {
    /// `None` while no loop waits at the other end.
    attached: Option<Arc<W>>,
    /// Connections with something to do.
    ready: Vec<usize>,
    notified: bool,
    /// The loop waits, or is about to.
    asleep: bool,
}

/// A loop's waker. It outlives the loop: one that starts again attaches its new epoll.
pub(crate) struct Waker<W = mio::Waker>(Mutex<State<W>>);

impl<W: Wake> Waker<W> {
    pub(crate) fn new() -> Self {
        Waker(Mutex::new(State {
            attached: None,
            ready: Vec::new(),
            notified: false,
            asleep: false,
        }))
    }

    /// From now on `wake` ends the loop's wait.
    pub(crate) fn attach(&self, wake: W) {
        self.0.lock().attached = Some(Arc::new(wake));
    }

    /// The loop has ended; what it was told about is of no interest to the next one.
    pub(crate) fn detach(&self) {
        let mut state = self.0.lock();
        state.attached = None;
        state.asleep = false;
        state.ready = Vec::new();
    }

    /// Tells the loop to look at a connection, or at its inbox.
    pub(crate) fn notify(&self, slot: Option<usize>) {
        let mut state = self.0.lock();
        if state.attached.is_some() {
            state.ready.extend(slot);
        }
        state.notified = true;
        let sleeper = if std::mem::replace(&mut state.asleep, false) {
            state.attached.clone()
        } else {
            None
        };
        drop(state);
        if let Some(sleeper) = sleeper {
            // The eventfd's counter cannot overflow, for it is written once per sleep; and nothing else can fail.
            let _ = sleeper.wake();
        }
    }

    /// Before waiting: `false` if there was a notification and the loop must not sleep.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut state = self.0.lock();
        state.asleep = !state.notified;
        state.asleep
    }

    /// After waiting: what has been asked for, moved into `ready`.
    pub(crate) fn take(&self, ready: &mut Vec<usize>) {
        let mut state = self.0.lock();
        state.asleep = false;
        state.notified = false;
        ready.append(&mut state.ready);
    }
}

#[cfg(all(loom, test))]
mod tests {
    use loom::sync::{Condvar, Mutex as LoomMutex};
    use loom::thread;

    use super::*;

    /// An eventfd in an edge-triggered epoll: a wait ends once for what was written before or during it.
    #[derive(Clone)]
    struct Event(Arc<(LoomMutex<bool>, Condvar)>);

    impl Event {
        fn new() -> Event {
            Event(Arc::new((LoomMutex::new(false), Condvar::new())))
        }

        fn poll(&self) {
            let mut written = self.0.0.lock().unwrap();
            // Without a wake-up this waits for ever, which loom reports as a deadlock.
            while !*written {
                written = self.0.1.wait(written).unwrap();
            }
            *written = false;
        }
    }

    impl Wake for Event {
        fn wake(&self) -> io::Result<()> {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_one();
            Ok(())
        }
    }

    /// A loop that runs until it has seen `expected` commands and been told of each slot.
    fn run(
        waker: &Waker<Event>,
        event: &Event,
        inbox: &LoomMutex<u32>,
        slots: usize,
        commands: u32,
    ) {
        let (mut ready, mut seen) = (Vec::new(), 0);
        while ready.len() < slots || seen < commands {
            if waker.may_sleep() {
                event.poll();
            }
            waker.take(&mut ready);
            seen += std::mem::take(&mut *inbox.lock().unwrap());
        }
        ready.sort_unstable();
        assert_eq!(ready, (0..slots).collect::<Vec<_>>());
        assert_eq!(seen, commands);
    }

    #[test]
    fn nothing_that_two_threads_put_is_slept_over() {
        loom::model(|| {
            let (waker, event) = (Arc::new(Waker::new()), Event::new());
            waker.attach(event.clone());
            let inbox = Arc::new(LoomMutex::new(0));
            let sender = {
                let (waker, inbox) = (Arc::clone(&waker), Arc::clone(&inbox));
                thread::spawn(move || {
                    *inbox.lock().unwrap() += 1;
                    waker.notify(None);
                })
            };
            let writer = {
                let waker = Arc::clone(&waker);
                thread::spawn(move || waker.notify(Some(0)))
            };
            run(&waker, &event, &inbox, 1, 1);
            sender.join().unwrap();
            writer.join().unwrap();
        });
    }

    #[test]
    fn what_comes_while_a_loop_ends_waits_for_the_next_one() {
        loom::model(|| {
            let waker = Arc::new(Waker::new());
            waker.attach(Event::new());
            let inbox = Arc::new(LoomMutex::new(0));
            let sender = {
                let (waker, inbox) = (Arc::clone(&waker), Arc::clone(&inbox));
                thread::spawn(move || {
                    *inbox.lock().unwrap() += 1;
                    waker.notify(None);
                })
            };
            waker.detach();
            let event = Event::new();
            waker.attach(event.clone());
            run(&waker, &event, &inbox, 0, 1);
            sender.join().unwrap();
        });
    }
}
