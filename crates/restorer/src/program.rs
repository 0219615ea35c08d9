//! What the kernel starts a program with.

use crate::kernel::Fd;
use core::arch::naked_asm;
use core::ffi::CStr;
use core::slice;
use whipsnake_checkpoint_format::cpu::{self, Features};

/// The size of the stack that this program runs on, in bytes.
const STACK: usize = 64 * 1024;

/// The stack. The kernel's own stays as it is: arguments and environment are on it.
#[repr(C, align(16))]
struct Stack([u8; STACK]);

static mut OWN_STACK: Stack = Stack([0; STACK]);

/// Where the kernel starts the program. Changes to the program's own stack.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "mov rdi, rsp",
        "lea rsp, [rip + {stack} + {size}]",
        "xor ebp, ebp",
        "call {run}",
        "ud2",
        stack = sym OWN_STACK,
        size = const STACK,
        run = sym crate::run,
    )
}

/// Where the kernel starts the program. Changes to the program's own stack.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "mov x0, sp",
        "adrp x1, {stack}",
        "add x1, x1, :lo12:{stack}",
        "mov x2, #{size}",
        "add sp, x1, x2",
        "mov x29, #0",
        "bl {run}",
        "brk #1",
        stack = sym OWN_STACK,
        size = const STACK,
        run = sym crate::run,
    )
}

/// Arguments, environment and auxiliary vector.
pub struct Arguments {
    count: usize,
    arguments: *const *const i8,
    environment: *const *const i8,
    program: &'static CStr,
    vdso: u64,
    #[cfg(target_arch = "aarch64")]
    hardware_capabilities: [u64; 2],
    #[cfg(target_arch = "aarch64")]
    page_size: u64,
}

impl Arguments {
    /// Reads the stack that the kernel has prepared.
    ///
    /// # Safety
    ///
    /// `initial` is the stack pointer of the process's first instruction.
    pub unsafe fn from_initial_stack(initial: *const u64) -> Self {
        const AT_EXECFN: u64 = 31;
        const AT_SYSINFO_EHDR: u64 = 33;
        #[cfg(target_arch = "aarch64")]
        const AT_PAGESZ: u64 = 6;
        #[cfg(target_arch = "aarch64")]
        const AT_HWCAP: u64 = 16;
        #[cfg(target_arch = "aarch64")]
        const AT_HWCAP2: u64 = 26;
        // SAFETY: the count, the arguments, null, the environment, null, pairs of numbers up to a zero; all for as long as the process.
        unsafe {
            let count = *initial as usize;
            let arguments = initial.add(1).cast::<*const i8>();
            let environment = arguments.add(count + 1);
            let mut end = environment;
            while !(*end).is_null() {
                end = end.add(1);
            }
            let mut pair = end.add(1).cast::<u64>();
            let (mut program, mut vdso) = (c"", 0);
            #[cfg(target_arch = "aarch64")]
            let (mut hardware_capabilities, mut page_size) = ([0; 2], 0);
            while *pair != 0 {
                match *pair {
                    AT_EXECFN => program = CStr::from_ptr((*pair.add(1)) as *const _),
                    AT_SYSINFO_EHDR => vdso = *pair.add(1),
                    #[cfg(target_arch = "aarch64")]
                    AT_PAGESZ => page_size = *pair.add(1),
                    #[cfg(target_arch = "aarch64")]
                    AT_HWCAP => hardware_capabilities[0] = *pair.add(1),
                    #[cfg(target_arch = "aarch64")]
                    AT_HWCAP2 => hardware_capabilities[1] = *pair.add(1),
                    _ => {}
                }
                pair = pair.add(2);
            }
            Self {
                count,
                arguments,
                environment,
                program,
                vdso,
                #[cfg(target_arch = "aarch64")]
                hardware_capabilities,
                #[cfg(target_arch = "aarch64")]
                page_size,
            }
        }
    }

    /// How many arguments there are.
    pub fn count(&self) -> u64 {
        self.count as u64
    }

    /// The address of the arguments' list.
    pub fn pointers(&self) -> u64 {
        self.arguments as u64
    }

    /// The path that this program was started by.
    pub fn program(&self) -> &'static CStr {
        self.program
    }

    /// The address of the running kernel's vDSO. Zero if there is none.
    pub fn vdso(&self) -> u64 {
        self.vdso
    }

    /// What the processor can do.
    #[cfg(target_arch = "x86_64")]
    #[expect(clippy::unused_self, reason = "other architectures have it among the arguments")]
    pub fn processor_features(&self) -> Features {
        cpu::features()
    }

    /// What the processor can do.
    #[cfg(target_arch = "aarch64")]
    pub fn processor_features(&self) -> Features {
        cpu::features_from(self.hardware_capabilities)
    }

    /// `AT_HWCAP`.
    #[cfg(target_arch = "aarch64")]
    pub fn hardware_capabilities(&self) -> u64 {
        self.hardware_capabilities[0]
    }

    /// The size of the kernel's pages, in bytes.
    #[cfg(target_arch = "aarch64")]
    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    /// The variables, each `NAME=VALUE`.
    pub fn variables(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        let mut next = self.environment;
        core::iter::from_fn(move || {
            // SAFETY: the list ends with a null pointer, and `next` never goes beyond it.
            unsafe {
                let variable = *next;
                if variable.is_null() {
                    return None;
                }
                next = next.add(1);
                Some(CStr::from_ptr(variable.cast()))
            }
        })
    }

    /// The value of a variable.
    pub fn variable(&self, name: &[u8]) -> Option<&'static [u8]> {
        self.variables().find_map(|variable| value_of(variable.to_bytes(), name))
    }
}

/// The value, if the variable has this name.
pub fn value_of<'a>(variable: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    variable.strip_prefix(name)?.strip_prefix(b"=")
}

/// A path that is made of pieces.
pub struct Path {
    bytes: [u8; Self::MAX],
}

impl Path {
    /// The kernel's limit for a path, with the NUL.
    const MAX: usize = 4096;

    /// A file in a folder that lies beside the program. `None` if the path would be too long.
    pub fn beside(program: &CStr, folder: &str, file: &str) -> Option<Self> {
        let program = program.to_bytes();
        let directory = match program.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => &program[..=slash],
            None => b"",
        };
        let mut path = Self { bytes: [0; Self::MAX] };
        let mut length = 0;
        for piece in [directory, folder.as_bytes(), b"/", file.as_bytes()] {
            path.bytes.get_mut(length..length + piece.len())?.copy_from_slice(piece);
            length += piece.len();
        }
        (length < Self::MAX).then_some(path)
    }

    /// The path that a file contains. `None` if there is no such file, or if it is too long for a path.
    pub fn read_from(file: &CStr) -> Option<Self> {
        let mut path = Self { bytes: [0; Self::MAX] };
        let file = Fd::open(file)?;
        let length = file.read(&mut path.bytes);
        file.close();
        (length > 0 && length < Self::MAX).then_some(path)
    }

    /// The path, for the kernel.
    pub fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// The bytes at an address.
///
/// # Safety
///
/// They are mapped for reading, and nobody writes them meanwhile.
pub unsafe fn bytes_at(address: u64, length: u64) -> &'static [u8] {
    // SAFETY: the caller's.
    unsafe { slice::from_raw_parts(address as *const u8, length as usize) }
}
