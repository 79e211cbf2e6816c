//! The CPU's own single steps: the trap flag has it stop behind each instruction, and a handler of SIGTRAP notes the registers.
//! It knows no instruction set, so it follows whatever this CPU runs.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// The registers before an instruction, in the order of `REG_R8` and so on of `ucontext.h`.
#[derive(Clone, Copy)]
pub struct Step([libc::greg_t; 23]);

impl Step {
    /// One of `REG_R8` to `REG_EFL`.
    pub fn register(&self, register: c_int) -> u64 {
        self.0[register as usize].cast_unsigned()
    }

    /// Where the instruction is.
    pub fn ip(&self) -> u64 {
        self.register(libc::REG_RIP)
    }

    /// RFLAGS before the instruction.
    pub fn flags(&self) -> u64 {
        self.register(libc::REG_EFL)
    }
}

/// Where the handler writes the next step, and how many there is room for.
static NEXT: AtomicPtr<Step> = AtomicPtr::new(null_mut());
static ROOM: AtomicUsize = AtomicUsize::new(0);

/// Instructions that one piece of work may have.
const MOST: usize = 1 << 20;

/// Notes steps; there is one.
pub struct Stepper {
    steps: Vec<Step>,
}

impl Stepper {
    pub fn new() -> Self {
        // SAFETY: all zeros are an action without flags and with an empty mask.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: `on_trap` is of the type that SA_SIGINFO asks for, and calls nothing that a signal handler may not.
        let status = unsafe { libc::sigaction(libc::SIGTRAP, &action, null_mut()) };
        assert_eq!(status, 0, "sigaction");
        Self {
            steps: Vec::with_capacity(MOST),
        }
    }

    /// Does the work and gives its steps, without an allocation of its own.
    ///
    /// # Panics
    /// When there are more than there is room for.
    #[inline(never)]
    pub fn steps(&mut self, work: &mut dyn FnMut()) -> &[Step] {
        self.steps.clear();
        let begin = self.steps.as_mut_ptr();
        ROOM.store(self.steps.capacity(), Relaxed);
        NEXT.store(begin, Relaxed);
        // SAFETY: sets the trap flag, for which there is a handler, and no other; the stack is as before behind it.
        unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        work();
        // SAFETY: clears the trap flag.
        unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
        let left = ROOM.swap(0, Relaxed);
        assert!(left > 0, "more than {MOST} instructions");
        // SAFETY: the handler wrote the steps that there is no room for any more, from the beginning on.
        unsafe { self.steps.set_len(self.steps.capacity() - left) };
        &self.steps
    }
}

/// Notes a step. What it interrupts is this thread's own code, and no handler.
extern "C" fn on_trap(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let room = ROOM.load(Relaxed);
    if room == 0 {
        return;
    }
    let next = NEXT.load(Relaxed);
    // SAFETY: with SA_SIGINFO the third argument is the interrupted thread's context. There is room for a step at `next`, which
    // lies in the vector of a `Stepper` that is borrowed for as long as it steps.
    unsafe {
        let context = context.cast::<libc::ucontext_t>();
        next.write(Step((*context).uc_mcontext.gregs));
        NEXT.store(next.add(1), Relaxed);
    }
    ROOM.store(room - 1, Relaxed);
}
