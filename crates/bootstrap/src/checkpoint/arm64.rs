//! What a process needs on arm64 so that it can be dumped.

use super::refusal::Refused;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;
use whipsnake_checkpoint_format::{PAGE, pointer_authentication};

/// Checks that the kernel's pages are Lambda's, and changes the address space and the return addresses. Call this before CPython starts.
/// Starts the program again where the kernel has to change something first.
pub fn prepare() -> Result<(), Refused> {
    // SAFETY: asks the C library for what the kernel has told the process.
    let (page, hardware_capabilities) = unsafe { (libc::getauxval(libc::AT_PAGESZ), libc::getauxval(libc::AT_HWCAP)) };
    if page != PAGE {
        return Err(Refused::because(format!(
            "this machine's kernel has pages of {page} bytes, and Lambda's of {PAGE}: pack on a machine with such a kernel"
        )));
    }
    keep_away_from_kernel()?;
    // SAFETY: this executable signs no return addresses, and the C library's code that has called `main` does not return.
    if unsafe { pointer_authentication::turn_off(hardware_capabilities) } {
        Ok(())
    } else {
        Err(Refused::because(
            "this machine's kernel does not turn pointer authentication off, as a restored process needs it: pack on Linux 5.13 or newer",
        ))
    }
}

/// Refuses a process of qemu-user: no dump of one was ever restored on arm64.
pub fn refuse_emulator(is_emulated: bool) -> Result<(), Refused> {
    if is_emulated {
        return Err(Refused::because(
            "an emulator of single programs runs this process, which is not supported for arm64: pack on an arm64 machine or in an emulated one",
        ));
    }
    Ok(())
}

/// Which memory the processor only branches into at landing pads (BTI): start and length. The memory map does not say it.
pub fn guarded() -> Vec<(u64, u64)> {
    guarded_in(&std::fs::read_to_string("/proc/self/smaps").unwrap_or_default())
}

fn guarded_in(map: &str) -> Vec<(u64, u64)> {
    let (mut guarded, mut here) = (Vec::new(), None);
    for line in map.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            guarded.extend(here.take().filter(|_| flags.split(' ').any(|flag| flag == "bt")));
        } else if let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-')) {
            let range = [start, end].map(|digits| u64::from_str_radix(digits, 16));
            if let [Ok(start), Ok(end)] = range {
                here = Some((start, end.saturating_sub(start)));
            }
        }
    }
    guarded
}

/// Has the kernel put libraries and memory far below the stack. The vDSO of a restored process is near its stack, anywhere within 1 GiB, and a
/// quarter of all restores would find it where a library belongs.
fn keep_away_from_kernel() -> Result<(), Refused> {
    const ASK: libc::c_ulong = 0xffff_ffff;
    /// `ADDR_COMPAT_LAYOUT`. The program that is started next gets its addresses by it.
    const FROM_BELOW: libc::c_ulong = 0x20_0000;
    // SAFETY: asks for the process's personality.
    let Ok(personality) = libc::c_ulong::try_from(unsafe { libc::personality(ASK) }) else { return Ok(()) };
    if personality & FROM_BELOW != 0 {
        return Ok(());
    }
    // SAFETY: changes how the next program's memory is laid out, and nothing of this one.
    if unsafe { libc::personality(personality | FROM_BELOW) } == -1 {
        return Err(Refused::doing("choosing a layout of memory")(std::io::Error::last_os_error()));
    }
    let program = env::current_exe().map_err(Refused::doing("looking for this program"))?;
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(Refused::doing("starting this program again")(again.args(arguments).exec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_with_landing_pads_is_found_by_its_flags() {
        let map = "ffff0000-ffff2000 r-xp 00000000 fe:00 12   /lib/libc.so.6\nSize:   8 kB\nVmFlags: rd ex mr mw me bt \n\
                   ffff2000-ffff3000 rw-p 00000000 00:00 0 \nVmFlags: rd wr mr mw me ac \n";
        assert_eq!(guarded_in(map), [(0xffff_0000, 0x2000)]);
    }
}
