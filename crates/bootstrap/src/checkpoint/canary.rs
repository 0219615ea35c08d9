//! The stack canary: a random number that compiled code writes below its return address and checks before it returns. All copies of one dump
//! would have the same.

/// The canary of this process.
#[cfg(target_arch = "x86_64")]
pub struct Canary;

/// The canary of this process.
#[cfg(target_arch = "aarch64")]
pub struct Canary {
    address: *mut u64,
    /// What may be done with the page that it is on.
    protection: libc::c_int,
}

impl Canary {
    /// Finds it. On x86-64 it is in the thread's block, where compilers expect it.
    #[cfg(target_arch = "x86_64")]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail on other architectures")]
    pub fn find() -> Result<Self, String> {
        Ok(Self)
    }

    /// Finds it. On arm64 it is a variable of the loader, on a page that the loader has made read-only.
    #[cfg(target_arch = "aarch64")]
    pub fn find() -> Result<Self, String> {
        // SAFETY: looks for a name.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__stack_chk_guard".as_ptr()) };
        if address.is_null() {
            return Err("the loader's stack canary cannot be found".to_owned());
        }
        let maps =
            std::fs::read_to_string("/proc/self/maps").map_err(|error| format!("reading /proc/self/maps: {error}"))?;
        let protection = maps.lines().find_map(|line| protection_at(line, address as u64));
        let protection = protection.ok_or_else(|| "the stack canary is in no mapping".to_owned())?;
        Ok(Self { address: address.cast(), protection })
    }

    /// Gives this process its own. Call this where all frames that would check the old one are gone.
    pub fn draw(&self) {
        let mut canary = [0_u8; 8];
        // SAFETY: fills eight bytes.
        if unsafe { libc::getrandom(canary.as_mut_ptr().cast(), canary.len(), 0) } == 8 {
            // The lowest byte stays zero, so that no string can run over it.
            self.set(u64::from_ne_bytes(canary) & !0xff);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[expect(clippy::unused_self, reason = "other architectures have its address")]
    fn set(&self, canary: u64) {
        // SAFETY: writes the thread block's field of the canary, which the C library keeps there for compilers.
        unsafe { std::arch::asm!("mov fs:[0x28], {}", in(reg) canary, options(nostack)) };
    }

    #[cfg(target_arch = "aarch64")]
    fn set(&self, canary: u64) {
        use whipsnake_checkpoint_format::{PAGE, PAGE_SIZE};
        let page = (self.address as u64 & !(PAGE - 1)) as *mut libc::c_void;
        // SAFETY: the loader's variable, on a page that nothing else is done with meanwhile: there is one thread.
        unsafe {
            if libc::mprotect(page, PAGE_SIZE, libc::PROT_READ | libc::PROT_WRITE) == 0 {
                self.address.write_volatile(canary);
                libc::mprotect(page, PAGE_SIZE, self.protection);
            }
        }
    }
}

/// What may be done with the memory at an address, if this line of a memory map is about it.
#[cfg(target_arch = "aarch64")]
fn protection_at(line: &str, address: u64) -> Option<libc::c_int> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let hexadecimal = |digits| u64::from_str_radix(digits, 16).ok();
    if !(hexadecimal(start)?..hexadecimal(end)?).contains(&address) {
        return None;
    }
    let may =
        |letter, protection| if rest.get(..3).is_some_and(|given| given.contains(letter)) { protection } else { 0 };
    Some(may('r', libc::PROT_READ) | may('w', libc::PROT_WRITE) | may('x', libc::PROT_EXEC))
}
