//! The vDSO: functions that the kernel maps into every process, at another address each time.
//!
//! A dumped process has the addresses of its own vDSO in many places, resolved long ago. So the restorer keeps a copy of the old vDSO at its
//! old place, and writes a jump to the running kernel's function at the beginning of each function, or a system call if the running kernel
//! has no such function.

use core::ffi::CStr;
use core::mem;

/// A function of the vDSO, and the system call that does the same.
pub struct Function {
    /// Its name.
    pub name: &'static CStr,
    /// The number of the system call.
    pub system_call: u32,
}

/// The functions that C libraries look up.
#[cfg(target_arch = "x86_64")]
pub const FUNCTIONS: &[Function] = &[
    Function { name: c"__vdso_clock_gettime", system_call: 228 },
    Function { name: c"__vdso_gettimeofday", system_call: 96 },
    Function { name: c"__vdso_time", system_call: 201 },
    Function { name: c"__vdso_getcpu", system_call: 309 },
    Function { name: c"__vdso_clock_getres", system_call: 229 },
    Function { name: c"__vdso_getrandom", system_call: 318 },
];

/// The functions that C libraries look up.
#[cfg(target_arch = "aarch64")]
pub const FUNCTIONS: &[Function] = &[
    Function { name: c"__kernel_clock_gettime", system_call: 113 },
    Function { name: c"__kernel_gettimeofday", system_call: 169 },
    Function { name: c"__kernel_clock_getres", system_call: 114 },
    Function { name: c"__kernel_getrandom", system_call: 278 },
];

/// The longest code that [`jump`] and [`system_call`] make, in bytes.
pub const LONGEST: usize = 16;

/// Code that jumps to `target`, and its length.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn jump(target: u64) -> ([u8; LONGEST], usize) {
    // movabs rax, target; jmp rax
    let mut code = [0; LONGEST];
    code[..2].copy_from_slice(&[0x48, 0xb8]);
    code[2..10].copy_from_slice(&target.to_le_bytes());
    code[10..12].copy_from_slice(&[0xff, 0xe0]);
    (code, 12)
}

/// Code that makes a system call and returns, and its length.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn system_call(number: u32) -> ([u8; LONGEST], usize) {
    // mov eax, number; syscall; ret
    let mut code = [0; LONGEST];
    code[0] = 0xb8;
    code[1..5].copy_from_slice(&number.to_le_bytes());
    code[5..8].copy_from_slice(&[0x0f, 0x05, 0xc3]);
    (code, 8)
}

/// Code that jumps to `target`, and its length.
#[cfg(target_arch = "aarch64")]
#[must_use]
pub fn jump(target: u64) -> ([u8; LONGEST], usize) {
    // ldr x16, #8; br x16; .quad target
    let mut code = [0; LONGEST];
    code[..4].copy_from_slice(&0x5800_0050_u32.to_le_bytes());
    code[4..8].copy_from_slice(&0xd61f_0200_u32.to_le_bytes());
    code[8..16].copy_from_slice(&target.to_le_bytes());
    (code, 16)
}

/// Code that makes a system call and returns, and its length.
#[cfg(target_arch = "aarch64")]
#[must_use]
pub fn system_call(number: u32) -> ([u8; LONGEST], usize) {
    // mov x8, number; svc #0; ret
    let mut code = [0; LONGEST];
    code[..4].copy_from_slice(&(0xd280_0008 | number << 5).to_le_bytes());
    code[4..8].copy_from_slice(&0xd400_0001_u32.to_le_bytes());
    code[8..12].copy_from_slice(&0xd65f_03c0_u32.to_le_bytes());
    (code, 12)
}

/// Makes code that was written just now what the processor runs. Call this before the code may be run.
///
/// # Safety
///
/// The memory is mapped for reading.
#[cfg(target_arch = "aarch64")]
pub unsafe fn flush_instructions(address: u64, length: usize) {
    /// The shortest line that a cache may have, in bytes.
    const LINE: usize = 16;
    let lines = || (address & !(LINE as u64 - 1)..address + length as u64).step_by(LINE);
    // SAFETY: writes lines of the caller's memory back, and has the processor read them again.
    unsafe {
        for line in lines() {
            core::arch::asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags));
        }
        core::arch::asm!("dsb ish", options(nostack, preserves_flags));
        for line in lines() {
            core::arch::asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags));
        }
        core::arch::asm!("dsb ish", "isb", options(nostack, preserves_flags));
    }
}

/// x86-64 notices by itself that code has changed.
///
/// # Safety
///
/// None is needed; other processors need the memory mapped for reading.
#[cfg(target_arch = "x86_64")]
pub unsafe fn flush_instructions(_address: u64, _length: usize) {}

/// A vDSO in memory.
#[derive(Clone, Copy)]
pub struct Vdso {
    base: u64,
    difference: u64,
    symbols: u64,
    names: u64,
    count: u64,
    length: u64,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

/// The size of an ELF symbol, in bytes.
const SYMBOL: u64 = 24;

impl Vdso {
    /// The vDSO at `base`, as the auxiliary vector's `AT_SYSINFO_EHDR` gives it. `None` if it is none.
    ///
    /// # Safety
    ///
    /// `base` is zero or the address of an ELF image that is mapped as its program headers say, as the kernel maps it.
    #[must_use]
    pub unsafe fn at(base: u64) -> Option<Self> {
        if base == 0 {
            return None;
        }
        // SAFETY: the caller's: an ELF file of 64 bits, whose tables are where it says.
        unsafe {
            let (headers, size, count) =
                (base + read::<u64>(base + 32), u64::from(read::<u16>(base + 54)), u64::from(read::<u16>(base + 56)));
            let (mut load, mut dynamic, mut length) = (0, 0, 0);
            for header in (0..count).map(|index| headers + index * size) {
                match read::<u32>(header) {
                    PT_LOAD => {
                        load = read::<u64>(header + 16);
                        length = read::<u64>(header + 40);
                    }
                    PT_DYNAMIC => dynamic = base + read::<u64>(header + 8),
                    _ => {}
                }
            }
            if dynamic == 0 {
                return None;
            }
            let mut vdso = Self { base, difference: base.wrapping_sub(load), symbols: 0, names: 0, count: 0, length };
            while read::<u64>(dynamic) != 0 {
                // A kernel may have put the addresses in already.
                let value = read::<u64>(dynamic + 8);
                let address = if value < base { value.wrapping_add(vdso.difference) } else { value };
                match read::<u64>(dynamic) {
                    DT_SYMTAB => vdso.symbols = address,
                    DT_STRTAB => vdso.names = address,
                    DT_HASH => vdso.count = u64::from(read::<u32>(address + 4)),
                    DT_GNU_HASH if vdso.count == 0 => vdso.count = gnu_hash_count(address),
                    _ => {}
                }
                dynamic += 16;
            }
            (vdso.symbols != 0 && vdso.names != 0).then_some(vdso)
        }
    }

    /// Its length in memory, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where a function is.
    #[must_use]
    pub fn find(&self, name: &CStr) -> Option<u64> {
        (0..self.count).find(|index| self.name(*index) == name).map(|index| self.address(index))
    }

    /// How many bytes there are from a function's address to the next function, or to the end.
    #[must_use]
    pub fn room(&self, address: u64) -> u64 {
        let next = (0..self.count).map(|index| self.address(index)).filter(|next| *next > address).min();
        next.unwrap_or(self.base + self.length) - address
    }

    fn name(&self, index: u64) -> &CStr {
        // SAFETY: within the symbol table, which lives as long as the process; names end with a NUL.
        unsafe {
            let offset = u64::from(read::<u32>(self.symbols + index * SYMBOL));
            CStr::from_ptr((self.names + offset) as *const _)
        }
    }

    fn address(&self, index: u64) -> u64 {
        // SAFETY: as above.
        unsafe { read::<u64>(self.symbols + index * SYMBOL + 8) }.wrapping_add(self.difference)
    }
}

/// The number of symbols, from a GNU hash table: the last symbol of the last chain.
///
/// # Safety
///
/// `table` is the address of such a table.
unsafe fn gnu_hash_count(table: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        let [buckets, first, bloom] = [0, 4, 8].map(|offset| u64::from(read::<u32>(table + offset)));
        let chains = table + 16 + bloom * 8 + buckets * 4;
        let last = (0..buckets).map(|index| u64::from(read::<u32>(table + 16 + bloom * 8 + index * 4))).max();
        let mut last = last.unwrap_or(0);
        if last < first {
            return first;
        }
        while read::<u32>(chains + (last - first) * 4) & 1 == 0 {
            last += 1;
        }
        last + 1
    }
}

/// # Safety
///
/// There is a readable `T` at `address`.
unsafe fn read<T: Copy>(address: u64) -> T {
    const { assert!(mem::align_of::<T>() <= 8) };
    // SAFETY: the caller's. ELF aligns its fields, but nothing here relies on it.
    unsafe { (address as *const T).read_unaligned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_function_of_the_running_kernel_is_found_and_has_room_for_a_jump() {
        // SAFETY: the kernel's own word.
        let vdso = unsafe { Vdso::at(libc_getauxval()) }.expect("the kernel maps a vDSO");
        let clock = vdso.find(FUNCTIONS[0].name).expect("every kernel has clock_gettime");
        assert!(vdso.room(clock) >= jump(0).1 as u64);
        assert_eq!(vdso.find(c"no_such_function"), None);
    }

    /// `AT_SYSINFO_EHDR`, from the auxiliary vector.
    fn libc_getauxval() -> u64 {
        let vector = std::fs::read("/proc/self/auxv").expect("/proc is mounted");
        let pairs = vector.chunks_exact(16).map(|pair| {
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
            (number(&pair[..8]), number(&pair[8..]))
        });
        pairs.into_iter().find(|(kind, _)| *kind == 33).map_or(0, |(_, value)| value)
    }
}
