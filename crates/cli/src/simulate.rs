//! The arguments that have a function meet what happens on Lambda now and then.

use std::time::Duration;

use whipsnake_emulator::{Refuse, Simulation};

/// What the function meets.
#[derive(clap::Args)]
#[command(next_help_heading = "Simulation")]
pub struct SimulationArguments {
    /// Has the function meet what happens on Lambda now and then; may be repeated
    ///
    /// - time-out: its time is up when it has the event, and its process is killed
    /// - 410: its responses are refused, because they come after the time-out
    /// - 413: its responses are refused as too large
    /// - slow-stream[=BYTES]: a caller who takes so many bytes of a stream in a second [100000]
    /// - freeze[=SECONDS]: its process stands still between invocations, at least so long [0], and finds its
    ///   connections as their other ends have left them
    /// - hang-up: the Runtime API closes the process's connections between invocations
    /// - init-crash: its first process is killed in the init phase
    /// - crash[=N]: its process is killed in every Nth invocation [1], as one that has no memory left
    #[arg(long = "simulate", value_name = "WHAT", value_parser = Happening::parse, verbatim_doc_comment)]
    happenings: Vec<Happening>,
}

#[derive(Clone, Debug)]
enum Happening {
    TimeOut,
    Refuse(Refuse),
    SlowStream(u32),
    Freeze(Duration),
    HangUp,
    InitCrash,
    Crash(u32),
}

impl SimulationArguments {
    /// All of it together.
    pub fn simulation(&self) -> Simulation {
        let mut simulation = Simulation::default();
        for happening in &self.happenings {
            match *happening {
                Happening::TimeOut => simulation.time_out = true,
                Happening::Refuse(refuse) => simulation.refuse = Some(refuse),
                Happening::SlowStream(rate) => simulation.stream_rate = Some(rate),
                Happening::Freeze(duration) => simulation.freeze = Some(duration),
                Happening::HangUp => simulation.hang_up = true,
                Happening::InitCrash => simulation.init_crash = true,
                Happening::Crash(every) => simulation.crash = Some(every),
            }
        }
        simulation
    }
}

impl Happening {
    fn parse(text: &str) -> Result<Happening, String> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let number = |usual: u32| match value.map_or(Ok(usual), str::parse) {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{text:?} has no number from 1 on after its =")),
        };
        let happening = match name {
            "slow-stream" => return number(100_000).map(Happening::SlowStream),
            "crash" => return number(1).map(Happening::Crash),
            "freeze" => {
                let seconds =
                    value.map_or(Ok(0.0), str::parse).ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
                let seconds = seconds.ok_or_else(|| format!("{text:?} has no number of seconds after its ="))?;
                return Ok(Happening::Freeze(Duration::from_secs_f64(seconds)));
            }
            "time-out" => Happening::TimeOut,
            "410" => Happening::Refuse(Refuse::TooLate),
            "413" => Happening::Refuse(Refuse::TooLarge),
            "hang-up" => Happening::HangUp,
            "init-crash" => Happening::InitCrash,
            _ => {
                return Err("time-out, 410, 413, slow-stream, freeze, hang-up, init-crash and crash can be simulated"
                    .to_owned());
            }
        };
        if value.is_some() { Err(format!("{name} takes no value")) } else { Ok(happening) }
    }
}
