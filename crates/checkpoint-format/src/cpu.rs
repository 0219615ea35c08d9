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

/// The name of a feature, as in `/proc/cpuinfo`. `None` for one that this program does not know.
#[must_use]
pub fn name(word: usize, bit: u32) -> Option<&'static str> {
    NAMES.iter().find(|named| (named.0, named.1) == (word, bit)).map(|named| named.2)
}

/// The names of features, by word and bit.
#[cfg(target_arch = "x86_64")]
const NAMES: &[(usize, u32, &str)] = &[
    (0, 0, "sse3"),
    (0, 1, "pclmulqdq"),
    (0, 9, "ssse3"),
    (0, 12, "fma"),
    (0, 13, "cx16"),
    (0, 19, "sse4_1"),
    (0, 20, "sse4_2"),
    (0, 22, "movbe"),
    (0, 23, "popcnt"),
    (0, 25, "aes"),
    (0, 26, "xsave"),
    (0, 28, "avx"),
    (0, 29, "f16c"),
    (0, 30, "rdrand"),
    (2, 0, "fsgsbase"),
    (2, 3, "bmi1"),
    (2, 5, "avx2"),
    (2, 8, "bmi2"),
    (2, 11, "rtm"),
    (2, 16, "avx512f"),
    (2, 17, "avx512dq"),
    (2, 18, "rdseed"),
    (2, 19, "adx"),
    (2, 21, "avx512ifma"),
    (2, 23, "clflushopt"),
    (2, 24, "clwb"),
    (2, 28, "avx512cd"),
    (2, 29, "sha_ni"),
    (2, 30, "avx512bw"),
    (2, 31, "avx512vl"),
    (3, 1, "avx512vbmi"),
    (3, 6, "avx512_vbmi2"),
    (3, 8, "gfni"),
    (3, 9, "vaes"),
    (3, 10, "vpclmulqdq"),
    (3, 11, "avx512_vnni"),
    (3, 12, "avx512_bitalg"),
    (3, 14, "avx512_vpopcntdq"),
    (3, 22, "rdpid"),
    (4, 8, "avx512_vp2intersect"),
    (4, 22, "amx_bf16"),
    (4, 23, "avx512_fp16"),
    (4, 24, "amx_tile"),
    (4, 25, "amx_int8"),
    (5, 4, "avx_vnni"),
    (5, 5, "avx512_bf16"),
    (5, 23, "avx_ifma"),
    (6, 0, "lahf_lm"),
    (6, 5, "abm"),
    (6, 6, "sse4a"),
    (6, 16, "fma4"),
    (7, 31, "3dnow"),
    (8, 2, "the registers of avx"),
    (8, 5, "the registers of avx512"),
    (8, 6, "the registers of avx512"),
    (8, 7, "the registers of avx512"),
    (9, 0, "xsaveopt"),
    (9, 1, "xsavec"),
    (9, 2, "xgetbv1"),
];

/// The names of features, by word and bit. Not written down yet: a report names the word and the bit.
#[cfg(target_arch = "aarch64")]
const NAMES: &[(usize, u32, &str)] = &[];

/// The features of this processor that the kernel lets programs use.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn features() -> Features {
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    /// OSXSAVE: `xgetbv` may be used.
    const OSXSAVE: u32 = 1 << 27;

    let mut words = Features::default();
    #[allow(unused_unsafe, reason = "safe in newer versions of Rust")]
    // SAFETY: every x86-64 processor has the instruction; leaves beyond the highest are not asked for.
    unsafe {
        let highest = __cpuid(0).eax;
        let basic = __cpuid(1);
        words[0] = basic.ecx;
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
    for (word, not_for_programs) in words.iter_mut().zip(NOT_FOR_PROGRAMS) {
        *word &= !not_for_programs;
    }
    words
}

/// What only a kernel can use, or what a program uses in the same way with and without it. Hypervisors hide these bits or show them as they
/// like, so a checkpoint that needed them would not run on processors that can run it.
#[cfg(target_arch = "x86_64")]
const NOT_FOR_PROGRAMS: Features = {
    /// DTES64, MONITOR, DS_CPL, VMX, SMX, EIST, TM2, CNXT_ID, SDBG, xTPR, PDCM, PCID, DCA, x2APIC, TSC_DEADLINE and HYPERVISOR.
    const LEAF_1_ECX: u32 = 1 << 2
        | 1 << 3
        | 1 << 4
        | 1 << 5
        | 1 << 6
        | 1 << 7
        | 1 << 8
        | 1 << 10
        | 1 << 11
        | 1 << 14
        | 1 << 15
        | 1 << 17
        | 1 << 18
        | 1 << 21
        | 1 << 24
        | 1 << 31;
    /// VME, DE, PSE, MSR, PAE, MCE, APIC, MTRR, PGE, MCA, PAT, PSE36, PSN, DS, ACPI, SS, HTT, TM and PBE.
    const LEAF_1_EDX: u32 = 0b111 << 1
        | 0b11 << 5
        | 1 << 7
        | 1 << 9
        | 0b11 << 12
        | 1 << 14
        | 0b111 << 16
        | 1 << 21
        | 1 << 22
        | 0b111 << 27
        | 1 << 31;
    /// TSC_ADJUST, SGX, FDP_EXCPTN_ONLY, SMEP, ERMS, INVPCID, RDT-M, the FPU's old selectors, RDT-A, SMAP and Processor Trace. With ERMS
    /// `rep movsb` is faster. Every processor has the instruction.
    const LEAF_7_EBX: u32 =
        1 << 1 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 15 | 1 << 20 | 1 << 25;
    /// UMIP, TME_EN, LA57, BUS_LOCK_DETECT, SGX_LC and PKS.
    const LEAF_7_ECX: u32 = 1 << 2 | 1 << 13 | 1 << 16 | 1 << 24 | 1 << 30 | 1 << 31;
    /// LASS, ARCHPERFMONEXT, three that make `rep` faster, FRED, LKGS, WRMSRNS and HRESET.
    const LEAF_7_1_EAX: u32 = 1 << 6 | 1 << 8 | 0b111 << 10 | 0b111 << 17 | 1 << 22;
    /// SVM, EXTAPIC, CR8, OSVW, IBS, SKINIT, WDT, TCE, NODEID_MSR, TOPOEXT and the performance counters.
    const AMD_ECX: u32 = 1 << 1
        | 1 << 2
        | 1 << 3
        | 1 << 4
        | 1 << 9
        | 1 << 10
        | 1 << 12
        | 1 << 13
        | 1 << 17
        | 1 << 19
        | 1 << 22
        | 0b111 << 23
        | 0b11 << 26
        | 1 << 28
        | 1 << 29
        | 1 << 30;
    /// Copies of leaf 1's bits that only AMD has, NX and pages of 1 GB.
    const AMD_EDX: u32 = 0x0183_f3ff | 1 << 19 | 1 << 20 | 1 << 26;
    /// XSAVES.
    const XSAVE: u32 = 1 << 3;
    [LEAF_1_ECX, LEAF_1_EDX, LEAF_7_EBX, LEAF_7_ECX, 0, LEAF_7_1_EAX, AMD_ECX, AMD_EDX, 0, XSAVE]
};

/// AVX512_4VNNIW, AVX512_4FMAPS, AVX512_VP2INTERSECT, SERIALIZE, AMX and AVX512_FP16. The other bits are about speculation, and change
/// with the microcode and the hypervisor.
#[cfg(target_arch = "x86_64")]
const CODE_CHOOSING_BITS_OF_LEAF_7_EDX: u32 =
    1 << 2 | 1 << 3 | 1 << 8 | 1 << 14 | 1 << 22 | 1 << 23 | 1 << 24 | 1 << 25;

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

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn features_have_the_names_of_the_kernel() {
        assert_eq!(name(2, 16), Some("avx512f"));
        assert_eq!(name(0, 28), Some("avx"));
        assert_eq!(name(0, 31), None);
        let listed = |list: &str, name: &str| list.split_whitespace().any(|listed| listed == name);
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").expect("the kernel's list");
        let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).expect("flags");
        let features = features();
        // The kernel calls SSE3 `pni`, and does not list what it has registers for.
        let known = NAMES.iter().filter(|named| named.0 != 8);
        for &(word, bit, name) in known {
            if name != "sse3" && features[word] & (1 << bit) == 0 {
                assert!(!listed(flags, name), "{name}");
            }
        }
        for (word, bit) in [(0, 12), (2, 5), (2, 8), (2, 16), (6, 5), (9, 0)] {
            let name = name(word, bit).expect("a name");
            assert_eq!(features[word] & (1 << bit) != 0, listed(flags, name), "{name}");
        }
    }
}
