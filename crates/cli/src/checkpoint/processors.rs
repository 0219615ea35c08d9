//! Which processors a checkpoint runs on.
//!
//! Libraries choose their fastest code when they are loaded, and the choice is in the checkpoint. So the process that is dumped must not see more
//! features than the processors have that it will run on. qemu-user shows such a processor to every library, whatever way it asks.

use std::{env, ffi::OsString, fs, path::PathBuf};

use whipsnake_checkpoint_format::cpu::{self, Features};

use super::{place::Place, report};
use crate::failure::Failure;

/// The processors that a checkpoint runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Processors {
    /// Those with every feature of this machine's
    Native,
    /// Those with AVX2 (Intel since Haswell, AMD since Zen), as Lambda documents its own; made with qemu-user
    #[value(name = "x86-64-v3")]
    X86_64V3,
    /// Those with SSE4.2 (Intel since Nehalem); made with qemu-user
    #[value(name = "x86-64-v2")]
    X86_64V2,
}

impl Processors {
    /// Those that a checkpoint is made for if the command line names none.
    pub fn usual(is_for_this_machine: bool) -> Self {
        if is_for_this_machine || cfg!(not(target_arch = "x86_64")) { Self::Native } else { Self::X86_64V3 }
    }

    /// What shows such a processor to the process that is dumped. `None` if this machine's is one.
    pub fn emulator(self) -> Result<Option<Emulator>, Failure> {
        // Without features that qemu warns of because it does not have them. No program uses those.
        let model = match self {
            Self::Native => return Ok(None),
            Self::X86_64V3 => "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid",
            Self::X86_64V2 => "Nehalem",
        };
        if cfg!(not(target_arch = "x86_64")) {
            return Err(Failure::new(format!(
                "a checkpoint for {} cannot be made on this machine, which has another architecture: use --cpu native",
                self.name()
            )));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let candidates = env::split_paths(&path).flat_map(|folder| PROGRAMS.map(|name| folder.join(name)));
        match candidates.into_iter().find(|candidate| candidate.is_file()) {
            Some(program) => Ok(Some(Emulator { program, model })),
            None => Err(Failure::new(format!(
                "a checkpoint for {} needs {}, which is not on PATH: install it (on Debian and Ubuntu: apt install qemu-user-static), or use \
                 --cpu native for a checkpoint that runs only on processors with every feature of this machine's",
                self.name(),
                PROGRAMS[0]
            ))),
        }
    }

    /// The processors, and the features that only some of them have.
    pub fn describe(self, required: &Features) -> String {
        let bits = |word: u32| (0..u32::BITS).filter(move |bit| word & 1 << bit != 0);
        let names = required.iter().enumerate().flat_map(|(index, word)| bits(*word).map(move |bit| (index, bit)));
        let names = names.filter_map(|(word, bit)| cpu::name(word, bit)).filter(|name| !COMMON.contains(name));
        let newer: Vec<String> = names.map(str::to_owned).collect();
        match self {
            Self::Native if newer.is_empty() => String::from("those with the features of this machine's"),
            Self::Native => format!("those with the features of this machine's: {}", report::list(newer)),
            Self::X86_64V3 | Self::X86_64V2 => format!("{} and newer", self.name()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::X86_64V3 => "x86-64-v3",
            Self::X86_64V2 => "x86-64-v2",
        }
    }
}

/// Names of the emulator.
const PROGRAMS: [&str; 2] = ["qemu-x86_64-static", "qemu-x86_64"];

/// Features that are not worth a word: processors of x86-64-v3 have them.
const COMMON: &[&str] = &[
    "sse3",
    "pclmulqdq",
    "ssse3",
    "fma",
    "cx16",
    "sse4_1",
    "sse4_2",
    "movbe",
    "popcnt",
    "aes",
    "xsave",
    "avx",
    "f16c",
    "rdrand",
    "fsgsbase",
    "bmi1",
    "avx2",
    "bmi2",
    "lahf_lm",
    "abm",
    "the registers of avx",
    "the registers of avx512",
    "xsaveopt",
    "xsavec",
    "xgetbv1",
];

/// A program that runs another one on a processor of its own.
pub struct Emulator {
    program: PathBuf,
    model: &'static str,
}

impl Emulator {
    /// The program and its arguments that run a program in a place, which gets a copy of the emulator.
    pub fn command(
        &self,
        place: &Place,
        program: PathBuf,
        arguments: Vec<OsString>,
    ) -> Result<(PathBuf, Vec<OsString>), Failure> {
        let copy = place.scratch("emulator");
        fs::copy(&self.program, &copy)
            .map_err(|error| Failure::new(format!("copying {}: {error}", self.program.display())))?;
        let own = ["-cpu".into(), self.model.into(), program.into_os_string()];
        Ok((place.inside(&copy), own.into_iter().chain(arguments).collect()))
    }
}
