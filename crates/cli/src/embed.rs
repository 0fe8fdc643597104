//! The commands for a program that is no shell, such as the Python module: the same words with the same defaults and checks,
//! the same work and files. What a terminal would show goes to a [`Listener`].

use anyhow::{Result, bail};
use pipeline::predict::{Decision, Predictor};
use pipeline::{Event, RowMaker};
use rayon::ThreadPool;
use serde_json::Value;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::console::Console;
use crate::extract::{self, Config, ExtractArgs};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::predict::{PredictArgs, differences, threshold};
use crate::program::{Command, ProgramArgs};
use crate::progress::Transfer;
use crate::{arguments, compare, failure, fit_head, hints, threads, train};

/// Follows a command. The methods may be called from any thread, one at a time.
pub trait Listener: Sync {
    /// The command as somebody would give it again, for the report.
    fn command_line(&self) -> String;
    /// Something that should be looked at.
    fn warn(&self, line: &str);
    /// A remark.
    fn note(&self, line: &str);
    /// What happened, in a training of so many epochs.
    fn event(&self, event: &Event<'_>, epochs: usize);
    /// The transfer of a file begins, of so many bytes where that is known.
    fn transfer(&self, what: &str, total_bytes: Option<u64>);
    /// So many bytes more have come.
    fn advance(&self, bytes: u64);
    /// The transfer is over.
    fn finish(&self);
    /// What the command gave, as its `--json` has it.
    fn result(&self, value: &Value);
}

/// Runs `extract`, `fit-head`, `train` or `compare`, by its name and its flags. Returns whether it ran to the end: `stop` ends it
/// at the next point at which nothing is lost.
///
/// # Errors
/// Those of the command; wrong words are a [`clap::Error`]. [`hint`] says what fixes one.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    listener: &dyn Listener,
    stop: &Arc<AtomicBool>,
) -> Result<bool> {
    let console = Console::embedded(listener);
    let interrupt = Interrupt::by(Arc::clone(stop));
    let code = match parse::<ProgramArgs>(words)?.command {
        Command::Extract(args) if args.command.is_none() => {
            extract::run(args.run, console, || Ok(interrupt))?
        }
        Command::FitHead(args) => {
            threads::pool(args.threads)?.install(|| fit_head::run(&args, console, &interrupt))?
        }
        Command::Train(args) => {
            threads::pool(args.threads)?.install(|| train::run(&args, console, &interrupt))?
        }
        Command::Compare(args) => compare::run(&args, console)?,
        _ => bail!("expected extract, fit-head, train or compare"),
    };
    Ok(code != ExitCode::from(EXIT_INTERRUPTED))
}

/// What makes rows of pictures, as `extract` with these flags would.
pub struct Rows {
    /// The base.
    pub maker: RowMaker,
    /// The threads it runs on.
    pub pool: ThreadPool,
    /// Pictures the base takes at once.
    pub batch_size: usize,
}

impl Rows {
    /// Of the flags of `extract`; folders and splits don't matter.
    ///
    /// # Errors
    /// Wrong words, and those of `extract` before it reads a picture.
    pub fn new(words: impl IntoIterator<Item = OsString>, listener: &dyn Listener) -> Result<Self> {
        let config = Config::without_data(parse::<ExtractArgs>(words)?.run)?;
        let options = &config.options;
        backbone::check_device(&options.engine)?;
        let pool = threads::pool(config.threads)?;
        let transfer = Transfer::new(Console::embedded(listener));
        let search = config.source.search(&transfer);
        let weights = search.resolve(&options.base, &options.weights_spec)?;
        let maker = RowMaker::new(options, weights, &pool)?;
        Ok(Self { maker, pool, batch_size: options.batch_size })
    }
}

/// What classifies pictures, as `predict` with these flags would.
pub struct Classifier {
    /// The base with a head.
    pub predictor: Predictor,
    /// The threads it runs on.
    pub pool: ThreadPool,
    /// Pictures the base takes at once.
    pub batch_size: usize,
}

impl Classifier {
    /// Of the flags of `predict`; the listener is warned of what may make probabilities differ from the head's own.
    ///
    /// # Errors
    /// Wrong words, and those of `predict` before it reads a picture.
    pub fn new(words: impl IntoIterator<Item = OsString>, listener: &dyn Listener) -> Result<Self> {
        let args = parse::<PredictArgs>(words)?;
        let console = Console::embedded(listener);
        let pool = threads::pool(args.threads)?;
        let transfer = Transfer::new(console);
        let predictor = pool.install(|| args.predictor(&transfer))?;
        differences(&predictor, console);
        Ok(Self { predictor, pool, batch_size: args.batch_size as usize })
    }
}

/// How a head's probabilities are used, by the words of `predict --calibrated --threshold`.
///
/// # Errors
/// A threshold that is none, in a sentence.
pub fn decision(calibrated: bool, at: Option<&str>) -> Result<Decision, String> {
    Ok(Decision { calibrated, threshold: at.map(threshold).transpose()? })
}

/// What fixes an error, in the words of the command line.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    hints::hint(error)
}

/// An error with its causes in one text.
pub fn message(error: &anyhow::Error) -> String {
    failure::message(error)
}

/// Runs a program of the shell by its name with these arguments, of which the first is the name it was called by.
///
/// The process ends where `--help` or wrong words end it.
pub fn shell(program: &str, arguments: Vec<OsString>) -> Option<ExitCode> {
    arguments::set(arguments);
    Some(match program {
        "feature-cache" => crate::program::main(),
        "extract" => extract::main(),
        "fit-head" => fit_head::main(),
        "predict" => crate::predict::main(),
        "cache" => crate::cache_tool::main(),
        _ => return None,
    })
}

/// The first word is the command's name.
fn parse<A: clap::Parser>(words: impl IntoIterator<Item = OsString>) -> Result<A> {
    Ok(A::try_parse_from(words)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Listener for Heard {
        fn command_line(&self) -> String {
            "as called".to_owned()
        }
        fn warn(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
        fn note(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
        fn event(&self, _: &Event<'_>, _: usize) {}
        fn transfer(&self, _: &str, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
        fn finish(&self) {}
        fn result(&self, _: &Value) {}
    }

    fn error(line: &str) -> anyhow::Error {
        let words = line.split_whitespace().map(OsString::from);
        run(words, &Heard::default(), &Arc::default()).unwrap_err()
    }

    #[test]
    fn wrong_words_are_errors_and_end_no_process() {
        for line in ["feature-cache extract --nonsense", "feature-cache", "feature-cache --help"] {
            assert!(error(line).is::<clap::Error>(), "{line}");
        }
        // What prints to a terminal is not for a listener.
        for line in ["feature-cache extract bases", "feature-cache cache info"] {
            assert!(error(line).to_string().starts_with("expected extract, fit-head"), "{line}");
        }
    }

    #[test]
    fn errors_have_the_hints_of_the_shell() {
        let error = error("feature-cache extract --data /nowhere/at/all");
        assert_eq!(hint(&error).as_deref(), Some("give its path with --data DIR"));
        assert!(message(&error).contains("/nowhere/at/all"));
    }

    #[test]
    fn what_is_said_goes_to_the_listener() {
        let heard = Heard::default();
        let console = Console::embedded(&heard);
        console.warn("one");
        console.note("two");
        console.say("not this").unwrap();
        assert_eq!(*heard.0.lock().unwrap(), ["one", "two"]);
        assert_eq!(console.command_line(), "as called");
    }

    #[test]
    fn thresholds_are_those_of_the_shell() {
        use pipeline::predict::Threshold;
        let decision = |at| decision(true, at).map(|decision| decision.threshold);
        assert_eq!(decision(None), Ok(None));
        assert_eq!(decision(Some("auto")), Ok(Some(Threshold::Chosen)));
        assert_eq!(decision(Some("0.25")), Ok(Some(Threshold::At(0.25))));
        assert!(decision(Some("2")).is_err());
    }
}
