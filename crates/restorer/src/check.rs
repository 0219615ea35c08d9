//! What has to be true before anything is mapped.

use crate::program::{Arguments, value_of};
use crate::{Refusal, files, kernel, ordinary};
use core::ffi::CStr;
use whipsnake_checkpoint_format::image::{Expectation, Image, Variable};
use whipsnake_checkpoint_format::{cpu, hash};

/// Makes every check, the cheapest ones first.
pub fn all(image: &Image<'static>, arguments: &Arguments) -> Result<(), Refusal<'static>> {
    if u64::from(image.header().process_id) == kernel::process_id() {
        return Err(Refusal::Check("this process has the id of the process that was dumped", b""));
    }
    processor(image, arguments)?;
    #[cfg(target_arch = "aarch64")]
    kernel_of_arm64(arguments)?;
    environment(image, arguments)?;
    files::check(image)
}

fn processor(image: &Image<'static>, arguments: &Arguments) -> Result<(), Refusal<'static>> {
    match cpu::missing(&image.header().cpu, &arguments.processor_features()) {
        None => Ok(()),
        Some((word, bit)) => Err(Refusal::Check(
            "this processor lacks a feature of the one that it was made for",
            cpu::name(word, bit).map_or_else(|| numbers_of(word, bit), str::as_bytes),
        )),
    }
}

/// A feature that has no name here: `word 3, bit 17`.
fn numbers_of(word: usize, bit: u32) -> &'static [u8] {
    static mut TEXT: [u8; 14] = *b"word 0, bit 00";
    let (tens, ones) = (bit as u8 / 10, bit as u8 % 10);
    // SAFETY: there is one thread, which comes here once.
    unsafe {
        let text = &raw mut TEXT;
        (*text)[5] = b'0' + word as u8;
        (*text)[12] = b'0' + tens;
        (*text)[13] = b'0' + ones;
        &*text
    }
}

/// What kernels of arm64 differ in. Turns signed return addresses off on the way; another program would have them again.
#[cfg(target_arch = "aarch64")]
fn kernel_of_arm64(arguments: &Arguments) -> Result<(), Refusal<'static>> {
    use whipsnake_checkpoint_format::{PAGE, pointer_authentication};
    if arguments.page_size() != PAGE {
        return Err(Refusal::Check("the kernel has larger pages than the one that it was made on", b""));
    }
    // SAFETY: no code of this program signs return addresses, and nothing else has run in the process.
    if unsafe { pointer_authentication::turn_off(arguments.hardware_capabilities()) } {
        Ok(())
    } else {
        Err(Refusal::Check("the kernel does not turn pointer authentication off, as Linux 5.13 and newer do", b""))
    }
}

/// Every variable that is listed, then every variable that is set.
fn environment(image: &Image<'static>, arguments: &Arguments) -> Result<(), Refusal<'static>> {
    for variable in image.variables() {
        let name = name_of(image, variable);
        if name.ends_with(b"*") {
            continue;
        }
        let value = arguments.variable(name);
        let agrees = match variable.expectation {
            expected if expected == Expectation::Absent as u64 => value.is_none(),
            expected if expected == Expectation::Equal as u64 => {
                let had = |value| image.variables().iter().any(|row| row.name == variable.name && row.hash == value);
                value.is_some_and(|value| had(hash(value)))
            }
            _ => true,
        };
        if !agrees {
            return Err(Refusal::Check("an environment variable differs", name));
        }
    }
    for set in arguments.variables().map(CStr::to_bytes).filter(|set| !ordinary::is_own(set)) {
        if let Some(name) = unexpected(image, set) {
            return Err(Refusal::Check("an environment variable is set that was not", name));
        }
    }
    Ok(())
}

/// The name of a variable that a pattern forbids and no row allows.
fn unexpected(image: &Image<'static>, set: &'static [u8]) -> Option<&'static [u8]> {
    let names = || image.variables().iter().map(|variable| name_of(image, variable));
    let is_forbidden = names().any(|name| name.strip_suffix(b"*").is_some_and(|start| set.starts_with(start)));
    let is_listed = || names().any(|name| value_of(set, name).is_some());
    if is_forbidden && !is_listed() { set.split(|byte| *byte == b'=').next() } else { None }
}

fn name_of(image: &Image<'static>, variable: &Variable) -> &'static [u8] {
    image.text(variable.name).unwrap_or(c"").to_bytes()
}
