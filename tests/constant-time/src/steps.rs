//! The CPU's own single steps: the trap flag has it stop behind each instruction, and a handler of SIGTRAP notes the registers.
//! It knows no instruction set, so it follows whatever this CPU runs.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// The registers before an instruction.
#[derive(Clone, Copy)]
pub struct Step {
    /// In the order of `REG_R8` and so on of `ucontext.h`.
    general: [libc::greg_t; 23],
    /// k0 to k7.
    masks: [u64; 8],
}

impl Step {
    /// One of `REG_R8` to `REG_EFL`.
    pub fn register(&self, register: c_int) -> u64 {
        self.general[register as usize].cast_unsigned()
    }

    /// One of AVX-512's masks, k0 to k7.
    pub fn mask(&self, n: usize) -> u64 {
        self.masks[n]
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

/// Where the masks are in what XSAVE writes (Intel's manual, volume 1, chapter 13); 0 without AVX-512.
static MASKS: AtomicUsize = AtomicUsize::new(0);

/// Of XSAVE: the bit of the masks, and where it says which states are not as they are at first, and so were written.
const OPMASK: u32 = 5;
const XSTATE_BV: usize = 512;

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
        if is_x86_feature_detected!("avx512f") {
            let component = std::arch::x86_64::__cpuid_count(0xd, OPMASK);
            MASKS.store(component.ebx as usize, Relaxed);
        }
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
    // SAFETY: with SA_SIGINFO the third argument is the interrupted thread's context, whose `fpregs` is what XSAVE wrote: where
    // there is AVX-512, the masks with it, if they are not all zero. There is room for a step at `next`, which lies in the
    // vector of a `Stepper` that is borrowed for as long as it steps.
    unsafe {
        let context = &(*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let xsave = context.fpregs.cast::<u8>();
        let mut masks = [0; 8];
        let at = MASKS.load(Relaxed);
        if at != 0 && xsave.add(XSTATE_BV).cast::<u64>().read_unaligned() & 1 << OPMASK != 0 {
            masks = xsave.add(at).cast::<[u64; 8]>().read_unaligned();
        }
        next.write(Step {
            general: context.gregs,
            masks,
        });
        NEXT.store(next.add(1), Relaxed);
    }
    ROOM.store(room - 1, Relaxed);
}
