//! What a layer finds on Lambda: the libraries of `provided.al2023`, and how old they are.

/// The runtime that layers are for.
pub const NAME: &str = "provided.al2023";

/// The version of its C library.
pub const GLIBC: &str = "2.34";

/// The newest version of each family of symbols there: glibc 2.34 and the run-time libraries of GCC 11.
const NEWEST: &[(&str, &[u32])] =
    &[("GLIBC_", &[2, 34]), ("GLIBCXX_", &[3, 4, 29]), ("CXXABI_", &[1, 3, 13]), ("GCC_", &[11])];

/// The libraries that are taken from there: never packed, because the C library and its loader belong together.
const LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libanl.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
];

/// Whether a library is there already.
pub fn has(library: &str) -> bool {
    LIBRARIES.contains(&library)
}

/// Whether a library of the image's is new enough to have symbols of this version.
pub fn provides(version: &str) -> bool {
    let known = NEWEST.iter().find_map(|(family, newest)| Some((version.strip_prefix(family)?, newest)));
    known.is_some_and(|(version, newest)| {
        let numbers: Option<Vec<u32>> = version.split('.').map(|number| number.parse().ok()).collect();
        // Such as GLIBC_PRIVATE and GLIBC_ABI_DT_RELR, which only a newer one or its own parts have.
        numbers.is_some_and(|numbers| numbers.as_slice() <= *newest)
    })
}

/// What to tell somebody whose file needs more than that.
pub const REMEDY: &str = "take a Python that was built on an older system, such as uv's (`uv python install 3.14`)";

#[cfg(test)]
mod tests {
    use super::provides;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["GLIBC_2.2.5", "GLIBC_2.34", "GLIBCXX_3.4.29", "CXXABI_1.3", "GCC_3.0", "GCC_7.0.0"] {
            assert!(provides(version), "{version}");
        }
        for version in ["GLIBC_2.34.1", "GLIBC_2.35", "GLIBC_2.100", "GLIBCXX_3.4.30", "GCC_12.0.0"] {
            assert!(!provides(version), "{version}");
        }
    }

    #[test]
    fn what_is_no_number_is_too_new() {
        assert!(!provides("GLIBC_PRIVATE") && !provides("GLIBC_ABI_DT_RELR"));
    }
}
