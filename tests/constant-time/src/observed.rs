//! What others on the machine can see of steps: which instructions were executed, which addresses they accessed, on what
//! conditional branches were decided, and what was divided.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use iced_x86::{
    CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, Register, RflagsBits, UsedMemory,
};

use crate::steps::Step;

/// Why a value of a step must be the same whatever the secrets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The instruction is another one: a branch was taken otherwise.
    Branch,
    /// A conditional branch reads flags that were computed from something else. It may have gone the same way this time.
    Condition,
    /// An address.
    Address,
    /// A mask that says which bytes of a vector are loaded or stored.
    Mask,
    /// An operand of a division, which takes longer for some values.
    Division,
}

/// A flag of iced's and its bit in RFLAGS. The auxiliary carry is left out: no branch reads it, and after many instructions it
/// is undefined.
const FLAGS: [(u32, u64); 5] = [
    (RflagsBits::CF, 1 << 0),
    (RflagsBits::PF, 1 << 2),
    (RflagsBits::ZF, 1 << 6),
    (RflagsBits::SF, 1 << 7),
    (RflagsBits::OF, 1 << 11),
];

/// An instruction, and what is to be seen of it.
struct Decoded {
    memory: Vec<UsedMemory>,
    /// Flags that it computes (`FLAGS`' indexes).
    computes: Vec<usize>,
    /// Flags that it branches on.
    branches_on: Vec<usize>,
    /// A mask of its memory operand: 1 to 7.
    mask: Option<usize>,
    /// Registers that must be the same: a divisor and dividend, or a branch's own count.
    operands: Vec<(Kind, Register)>,
}

unsafe extern "C" {
    // The linker's: where the program begins, and where its code ends.
    static __executable_start: u8;
    static etext: u8;
}

/// Where this program's code is; `start` is what its addresses on disk are relative to.
pub fn code() -> Range<u64> {
    (&raw const __executable_start).addr() as u64..(&raw const etext).addr() as u64
}

/// Whether an instruction is this program's and not a library's.
pub fn is_ours(ip: u64) -> bool {
    code().contains(&ip)
}

/// Decodes each instruction once.
pub struct Observer {
    decoded: HashMap<u64, Decoded>,
    info: InstructionInfoFactory,
    /// What the CPU must have for the instructions of this program that were seen.
    pub features: BTreeSet<String>,
}

impl Observer {
    pub fn new() -> Self {
        Self {
            decoded: HashMap::new(),
            info: InstructionInfoFactory::new(),
            features: BTreeSet::new(),
        }
    }

    /// Every value that must not depend on a secret, with the step that it is of.
    pub fn observe(&mut self, steps: &[Step], mut seen: impl FnMut(usize, Kind, u64)) {
        // The step that computed a flag last.
        let mut writers = [usize::MAX; FLAGS.len()];
        for (n, step) in steps.iter().enumerate() {
            seen(n, Kind::Branch, step.ip());
            let decoded = self
                .decoded
                .entry(step.ip())
                .or_insert_with(|| decode(step.ip(), &mut self.info, &mut self.features));
            for memory in &decoded.memory {
                let register = |r: Register, _, _| Some(register(step, r));
                let address = memory.virtual_address(0, register);
                seen(n, Kind::Address, address.expect("given for each register"));
            }
            if let Some(mask) = decoded.mask {
                seen(n, Kind::Mask, step.mask(mask));
            }
            for (kind, operand) in &decoded.operands {
                seen(n, *kind, register(step, *operand));
            }
            if !decoded.branches_on.is_empty() {
                // All that the same instructions computed, beside the flags that are read: a carry that is hardly ever set
                // is the same in most runs, and the sign of the number is not.
                let flags = (0..FLAGS.len()).filter(|flag| {
                    let writer = writers[*flag];
                    decoded
                        .branches_on
                        .iter()
                        .any(|read| writers[*read] == writer)
                });
                let mask = flags.fold(0, |mask, flag| mask | FLAGS[flag].1);
                seen(n, Kind::Condition, step.flags() & mask);
            }
            for flag in &decoded.computes {
                writers[*flag] = n;
            }
        }
    }
}

/// # Panics
/// When the instruction accesses memory by a vector of addresses, or divides by a number in memory: nothing here looks at those.
fn decode(ip: u64, info: &mut InstructionInfoFactory, features: &mut BTreeSet<String>) -> Decoded {
    const LONGEST: usize = 15;
    // SAFETY: the instruction was executed, so it is readable. What is behind it is of the same mapping or of the next one of
    // the same library: a function's last instruction is never at the very end of its library's code, which data follow.
    let code = unsafe { std::slice::from_raw_parts(ip as *const u8, LONGEST) };
    let instruction = Decoder::with_ip(64, code, ip, DecoderOptions::NONE).decode();
    assert!(
        !instruction.is_invalid(),
        "{ip:#x}: an instruction that the decoder does not know"
    );
    if is_ours(ip) {
        features.extend(instruction.cpuid_features().iter().map(name));
    }
    let info = info.info(&instruction);
    let memory: Vec<UsedMemory> = info.used_memory().to_vec();
    for m in &memory {
        assert!(
            !m.index().is_vector_register(),
            "{ip:#x}: a gather or scatter"
        );
    }
    let mut operands = Vec::new();
    if matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) {
        assert!(
            memory.is_empty(),
            "{ip:#x}: a division by a number in memory"
        );
        let read = info
            .used_registers()
            .iter()
            .filter(|r| r.access() != OpAccess::Write);
        operands.extend(read.map(|r| (Kind::Division, r.register())));
    }
    let conditional = instruction.flow_control() == FlowControl::ConditionalBranch;
    let branches_on = if conditional {
        of(instruction.rflags_read())
    } else {
        Vec::new()
    };
    if conditional && branches_on.is_empty() {
        operands.push((Kind::Condition, Register::RCX));
    }
    let mask = instruction.has_op_mask() && !memory.is_empty();
    Decoded {
        mask: mask.then(|| instruction.op_mask().number()),
        memory,
        computes: of(computed(&instruction)),
        branches_on,
        operands,
    }
}

/// Without those that are undefined behind it.
fn computed(instruction: &Instruction) -> u32 {
    instruction.rflags_written() | instruction.rflags_cleared() | instruction.rflags_set()
}

fn of(flags: u32) -> Vec<usize> {
    (0..FLAGS.len())
        .filter(|flag| FLAGS[*flag].0 & flags != 0)
        .collect()
}

fn name(feature: &CpuidFeature) -> String {
    format!("{feature:?}")
}

/// The value of a general register, or of a part of one. Segments begin at 0, but for the thread's own, which stays where it is.
fn register(step: &Step, register: Register) -> u64 {
    use libc::*;
    let whole = match register.full_register() {
        Register::RAX => REG_RAX,
        Register::RBX => REG_RBX,
        Register::RCX => REG_RCX,
        Register::RDX => REG_RDX,
        Register::RSI => REG_RSI,
        Register::RDI => REG_RDI,
        Register::RBP => REG_RBP,
        Register::RSP => REG_RSP,
        Register::R8 => REG_R8,
        Register::R9 => REG_R9,
        Register::R10 => REG_R10,
        Register::R11 => REG_R11,
        Register::R12 => REG_R12,
        Register::R13 => REG_R13,
        Register::R14 => REG_R14,
        Register::R15 => REG_R15,
        Register::RIP => REG_RIP,
        r if r.is_segment_register() => return 0,
        r => panic!("{r:?} in an address"),
    };
    let value = step.register(whole);
    match register.size() {
        8 => value,
        bytes => value & ((1 << (8 * bytes)) - 1),
    }
}
