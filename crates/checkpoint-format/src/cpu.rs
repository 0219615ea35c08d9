//! What the processor can do, as far as libraries choose code by it.
//!
//! A process picks its fastest code once, when a library is loaded, and the choice is part of its memory. Such a process must not continue on a
//! processor that lacks a feature it has chosen code for.

/// How many words [`features`] has.
pub const WORDS: usize = 10;

/// Feature words, one bit a feature. `a` can run what was chosen on `b` if it has every bit of it.
pub type Features = [u32; WORDS];

/// The first feature that `available` lacks, as its word and bit.
#[must_use]
pub fn missing(required: &Features, available: &Features) -> Option<(usize, u32)> {
    let lacks = |(word, (needed, has)): (usize, (&u32, &u32))| {
        let bits = needed & !has;
        (bits != 0).then(|| (word, bits.trailing_zeros()))
    };
    required.iter().zip(available).enumerate().find_map(lacks)
}

/// The features of this processor that the kernel lets programs use.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn features() -> Features {
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    /// OSXSAVE: `xgetbv` may be used.
    const OSXSAVE: u32 = 1 << 27;
    /// Says that the program runs on a virtual machine. No code is chosen by it.
    const HYPERVISOR: u32 = 1 << 31;

    let mut words = Features::default();
    #[allow(unused_unsafe, reason = "safe in newer versions of Rust")]
    // SAFETY: every x86-64 processor has the instruction; leaves beyond the highest are not asked for.
    unsafe {
        let highest = __cpuid(0).eax;
        let basic = __cpuid(1);
        words[0] = basic.ecx & !HYPERVISOR;
        words[1] = basic.edx;
        if highest >= 7 {
            let extended = __cpuid_count(7, 0);
            words[2] = extended.ebx;
            words[3] = extended.ecx;
            words[4] = extended.edx & CODE_CHOOSING_BITS_OF_LEAF_7_EDX;
            if extended.eax >= 1 {
                words[5] = __cpuid_count(7, 1).eax;
            }
        }
        let amd = __cpuid(0x8000_0001);
        words[6] = amd.ecx;
        words[7] = amd.edx;
        if basic.ecx & OSXSAVE != 0 {
            words[8] = enabled_states();
        }
        if highest >= 0xd {
            words[9] = __cpuid_count(0xd, 1).eax;
        }
    }
    words
}

/// AVX512_4VNNIW, AVX512_4FMAPS, FSRM, AVX512_VP2INTERSECT, SERIALIZE, AMX and AVX512_FP16. The other bits are about speculation, and change
/// with the microcode and the hypervisor.
#[cfg(target_arch = "x86_64")]
const CODE_CHOOSING_BITS_OF_LEAF_7_EDX: u32 =
    1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 14 | 1 << 22 | 1 << 23 | 1 << 24 | 1 << 25;

/// Which registers the kernel saves for a program: XCR0.
#[cfg(target_arch = "x86_64")]
fn enabled_states() -> u32 {
    let low: u32;
    // SAFETY: OSXSAVE is set, so the instruction may be used.
    unsafe { core::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack)) };
    low
}

/// `HWCAP_PACA`: programs can sign return addresses.
#[cfg(target_arch = "aarch64")]
pub const POINTER_AUTHENTICATION: u64 = 1 << 30;

/// The features of this processor, as the kernel gives them to every program in its auxiliary vector (`AT_HWCAP` and `AT_HWCAP2`), and the
/// sizes of its caches' lines.
#[cfg(target_arch = "aarch64")]
#[must_use]
pub fn features_from(hardware_capabilities: [u64; 2]) -> Features {
    /// `HWCAP_PACG`: programs can sign data.
    const GENERIC_AUTHENTICATION: u64 = 1 << 31;

    let mut words = Features::default();
    let [first, second] = hardware_capabilities;
    // No code is chosen by these two: the instructions for return addresses do nothing on a processor that does not know them.
    let first = first & !(POINTER_AUTHENTICATION | GENERIC_AUTHENTICATION);
    for (word, value) in [first, second].into_iter().enumerate() {
        words[2 * word] = value as u32;
        words[2 * word + 1] = (value >> 32) as u32;
    }
    let (zeroing, caches) = cache_registers();
    // The C library clears memory in blocks of this size, and code generators flush by these lines. Each must be the same, so that its
    // complement is a feature as well.
    let sizes = (zeroing & 0x1f | (caches & 0xf) << 8 | (caches >> 16 & 0xf) << 16) as u32;
    words[4] = sizes;
    words[5] = !sizes;
    // Code generators leave flushes out where the processor does without (IDC and DIC).
    words[6] = (caches >> 28 & 0b11) as u32;
    words
}

/// `DCZID_EL0` and `CTR_EL0`.
#[cfg(target_arch = "aarch64")]
fn cache_registers() -> (u64, u64) {
    let (zeroing, caches): (u64, u64);
    // SAFETY: reads two registers that programs may read; where a kernel forbids the second, it answers in the processor's place.
    unsafe {
        core::arch::asm!("mrs {}, dczid_el0", out(reg) zeroing, options(nomem, nostack));
        core::arch::asm!("mrs {}, ctr_el0", out(reg) caches, options(nomem, nostack));
    }
    (zeroing, caches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_with_more_features_lacks_none() {
        let mut required = Features::default();
        required[2] = 0b101;
        let mut available = required;
        available[2] |= 0b10;
        available[7] = 1;
        assert_eq!(missing(&required, &available), None);
        assert_eq!(missing(&required, &required), None);
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn another_size_of_a_cache_line_is_a_missing_feature_in_both_directions() {
        let ours = features_from([0; 2]);
        let mut other = ours;
        other[4] ^= 1 << 8;
        other[5] ^= 1 << 8;
        assert!(missing(&ours, &other).is_some() && missing(&other, &ours).is_some());
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn signed_return_addresses_are_not_a_feature_that_a_checkpoint_needs() {
        assert_eq!(missing(&features_from([POINTER_AUTHENTICATION, 0]), &features_from([0; 2])), None);
    }

    #[test]
    fn the_first_missing_feature_is_named() {
        let mut required = Features::default();
        required[3] = 0b1100;
        let mut available = Features::default();
        available[3] = 0b0100;
        assert_eq!(missing(&required, &available), Some((3, 3)));
    }
}
