//! What fixes an error, with the flags and commands of these programs: libraries don't know them.

use backbone::{BaseError, Device, EngineError, ExtractorError, KernelError};
use cache::CacheError;
use export::ExportError;
use images::ScanError;
use pipeline::{Error, MemoryUse};
use report::ReportError;
use std::error::Error as StdError;
use std::io;
use tables::TableError;
use train::HeadError;
use util::Hint;
use weights::{Remedy, WeightsError};

/// An error of the command line itself, with what fixes it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Hinted {
    message: String,
    hint: String,
}

/// An error with a hint.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// Where the machine was short of something that has nothing to do with the file at hand: adds what to do `then`.
pub(crate) fn short_of_something(error: Error, then: &str) -> anyhow::Error {
    match (&error, error.hint()) {
        (Error::Machine(_), Some(hint)) => hinted(error.to_string(), format!("{hint}; {then}")),
        _ => error.into(),
    }
}

/// The hint of the first error in the chain that has one.
pub(crate) fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(of)
}

fn of(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(e) = cause.downcast_ref::<Hinted>() {
        return Some(e.hint.clone());
    }
    if let Some(e) = cause.downcast_ref::<Error>() {
        return of_pipeline(e);
    }
    if let Some(e) = cause.downcast_ref::<CacheError>() {
        return of_cache(e);
    }
    if let Some(e) = cause.downcast_ref::<ScanError>() {
        return of_scan(e);
    }
    if let Some(e) = cause.downcast_ref::<WeightsError>() {
        return of_weights(e);
    }
    if let Some(e) = cause.downcast_ref::<BaseError>() {
        return of_base(e);
    }
    if let Some(e) = cause.downcast_ref::<ExtractorError>() {
        return of_extractor(e);
    }
    if let Some(e) = cause.downcast_ref::<EngineError>() {
        return of_engine(e);
    }
    if let Some(e) = cause.downcast_ref::<TableError>() {
        return of_table(e);
    }
    cause.downcast_ref::<HeadError>().and_then(of_head)
}

fn of_pipeline(error: &Error) -> Option<String> {
    let text = match error {
        Error::Cache(e) => return of_cache(e),
        Error::Features { source, .. } => return of_cache(source),
        Error::Scan(e) => return of_scan(e),
        Error::Head(e) => return of_head(e),
        Error::Base(e) => return of_base(e),
        Error::Extractor(e) => return of_extractor(e),
        Error::Run(e) => return of_engine(e),
        Error::Split { source, .. } | Error::HeadFeatures { source, .. } => {
            return of_pipeline(source);
        }
        Error::Pictures { .. } => {
            "give the folder that extract got with --data DIR, or leave it out for a report without pictures"
        }
        Error::Report(ReportError::NoModel { .. }) => {
            "give the folder that fit-head wrote (--head), after it has run"
        }
        Error::Report(ReportError::Format { .. }) | Error::Model { .. } => {
            "train the model again with fit-head"
        }
        Error::Report(ReportError::NoPredictions { .. }) => {
            "run fit-head on features with that split, or give another one with --split"
        }
        Error::Export(e) => return of_export(e),
        Error::NoFeatures { .. } => "leave out --part head",
        Error::NoTemperature => {
            "leave out --calibrated, or run fit-head again on features with a validation split (fit-head says why one gives no temperature)"
        }
        Error::NoThreshold => {
            "run fit-head again on features with a validation split, or give a number, as in --threshold 0.4"
        }
        Error::ThresholdClasses { .. } => {
            "leave out --threshold: of more than two classes the most probable is predicted"
        }
        Error::NoTrain { .. } => "run extract first, or give the folder with --features DIR",
        Error::Views { expected, found } => {
            return Some(format!(
                "give --views {found} or fewer, or run extract with --augment --views {expected}"
            ));
        }
        Error::HeadFolder { source, .. } => {
            let other = "choose another folder with --head DIR";
            return Some(match of_head(source) {
                Some(hint) => format!("{hint}, or {other}"),
                None => other.to_owned(),
            });
        }
        Error::WeightsDiffer { .. } | Error::PinnedWeightsDiffer { .. } => {
            "give --weights the file that the features were made with"
        }
        Error::NoWeights { .. } => {
            "give a file with --weights FILE: docs/weights.md says who publishes one"
        }
        Error::UnknownWeights { .. } => {
            "give them with --weights FILE or --weights OWNER/NAME, as for extract"
        }
        Error::ModelFolder { source, .. } => {
            let other = "choose another folder with --model DIR";
            return Some(match of_head(source) {
                Some(hint) => format!("{hint}, or {other}"),
                None => other.to_owned(),
            });
        }
        Error::StartModel { .. } => {
            "give --from the folder of a head of fit-head or of a model of train"
        }
        Error::CheckpointThere { .. } => "go on with --resume, or remove the file to begin again",
        Error::Architecture { .. } | Error::ArchitectureFile { .. } => {
            "docs/training.md has an example of such a file"
        }
        Error::NetworkSize { .. } => "give a larger --image-size, or change the layers",
        Error::Diverged { .. } => "use a smaller --lr",
        Error::Memory { what: MemoryUse::Network { .. }, .. } => {
            "give a smaller network, --image-size or --batch-size, or free memory"
        }
        Error::Memory { what: MemoryUse::Images { .. }, .. } => {
            "give a smaller --batch-size, or free memory"
        }
        Error::Memory { what: MemoryUse::Training { .. }, .. } => {
            "give fewer --hidden units or a smaller --batch-size, or free memory"
        }
        other => return other.hint(),
    };
    Some(text.to_owned())
}

fn of_table(error: &TableError) -> Option<String> {
    match error {
        TableError::Cache(e) => of_cache(e),
        TableError::Header { .. } => Some("take --format parquet, or csv".to_owned()),
        TableError::ForeignFolder { .. } => Some(
            "choose another folder with --output: --overwrite replaces only what an export wrote"
                .to_owned(),
        ),
        other => other.hint(),
    }
}

fn of_export(error: &ExportError) -> Option<String> {
    let text = match error {
        ExportError::Resize { .. } => {
            "leave out --with-resize, and resize pictures before they go in: the file says how"
        }
        ExportError::NoPixels => "leave out --part head",
        ExportError::Runtime { .. } => {
            return error.hint().map(|hint| format!("{hint}; then give it with --runtime package"));
        }
        ExportError::Io { .. } => {
            return error.hint().map(|hint| format!("{hint}, with --output"));
        }
        ExportError::Layer { .. } => "give another --format",
        other => return other.hint(),
    };
    Some(text.to_owned())
}

fn of_weights(error: &WeightsError) -> Option<String> {
    let text = |remedy: &Remedy| match remedy {
        Remedy::AllowNetwork => "leave out --offline, and HF_HUB_OFFLINE if it is set".to_owned(),
        by_hand @ Remedy::FetchByHand { .. } => format!("{by_hand} with --weights FILE"),
        advice @ Remedy::Advice(_) => advice.to_string(),
    };
    let texts: Vec<String> = error.remedies().iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join("; or "))
}

fn of_base(error: &BaseError) -> Option<String> {
    match error {
        BaseError::UnknownBase(..) => Some("`extract bases` lists them".to_owned()),
        BaseError::UnknownLayer { .. } => {
            Some("`extract summary` shows every layer with its shape".to_owned())
        }
        BaseError::OtherSize { expected, .. } => Some(format!("give --image-size {expected}")),
        BaseError::TooSmall { minimum, .. } => {
            Some(format!("give --image-size {minimum} or more on both sides"))
        }
        other => other.hint(),
    }
}

fn of_extractor(error: &ExtractorError) -> Option<String> {
    match error {
        ExtractorError::Base(e) => of_base(e),
        ExtractorError::Engine(e) => of_engine(e),
    }
}

fn of_engine(error: &EngineError) -> Option<String> {
    let text = match error {
        EngineError::NotBuilt { device: Device::CandleCpu, .. } => {
            "use --engine auto, or a build with the cargo feature candle"
        }
        EngineError::NotBuilt { feature, .. } => {
            return Some(format!(
                "build with `cargo build --release --features {feature}`, or use --device cpu"
            ));
        }
        EngineError::Unavailable { .. } | EngineError::Candle { .. } => "use --device cpu",
        EngineError::OutOfMemory { .. } => "end other programs on that GPU, or use --device cpu",
        EngineError::PrecisionElsewhere { device: Device::Cpu, .. } => {
            "tf32 is for --device cuda; the CPU has highest, high and medium"
        }
        EngineError::PrecisionElsewhere { device: Device::Cuda(_), .. } => {
            "CUDA has highest (f32), tf32 and medium (bf16); --device cpu has high"
        }
        EngineError::PrecisionElsewhere { .. } => "it has highest alone; --device cpu has others",
        EngineError::IsaElsewhere(_) => "leave out --isa, or use --device cpu",
        EngineError::Kernel(KernelError::IsaUnavailable { .. }) => {
            "leave out --isa to take the fastest available one"
        }
        other => return other.hint(),
    };
    Some(text.to_owned())
}

fn of_scan(error: &ScanError) -> Option<String> {
    let text = match error {
        ScanError::Io { .. } => {
            "check that the folder exists and may be read, or name another with --data"
        }
        ScanError::NoSplits { .. } => {
            "name the folder that holds train/, validation/ and test/ with --data"
        }
        ScanError::TwoValidations { .. } => {
            "remove one, or name the one to use with --split where there is that flag"
        }
        other => return other.hint(),
    };
    Some(text.to_owned())
}

pub(crate) fn of_cache(error: &CacheError) -> Option<String> {
    let text = match error {
        CacheError::Io { source, .. } => match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                "choose a folder that you may write, with --features"
            }
            io::ErrorKind::NotADirectory => {
                "there is a file where a folder is needed; choose another folder with --features"
            }
            _ => return error.hint(),
        },
        CacheError::Locked { pid, .. } => {
            return Some(format!(
                "wait for process {pid} to end, or choose another --features folder"
            ));
        }
        CacheError::Changed { changes, .. } if changes.settings.is_empty() => {
            "--update keeps the rows of unchanged files and computes the rest; --overwrite computes everything again"
        }
        CacheError::Changed { .. } => {
            "--overwrite computes everything again; or choose another --features folder"
        }
        CacheError::Damaged { .. } => {
            "extract --update recomputes what is damaged, extract --overwrite computes everything again"
        }
        CacheError::Missing { .. } => {
            "run extract first; if a run was interrupted, run the same command again to go on, or cache recover if only the names were missing"
        }
        CacheError::Incompatible { .. } => {
            "run extract for both splits with the same settings (--overwrite)"
        }
        CacheError::Shards { .. } => {
            "run extract --shard I/N for what is missing, and keep the shards of one run only"
        }
        CacheError::OutputVanished { .. } => {
            "leave the output folder alone while extract runs, and run the command again"
        }
        CacheError::BadInput { .. } => {
            "--on-error skip leaves bad files out and lists them in the index"
        }
        CacheError::TooLargeForF16 { .. } => "use --dtype f32",
        other => return other.hint(),
    };
    Some(text.to_owned())
}

fn of_head(error: &HeadError) -> Option<String> {
    let text = match error {
        HeadError::NoFeatures { .. }
        | HeadError::LabelCount { .. }
        | HeadError::LabelRange { .. } => {
            "the feature files do not belong together: run extract again with --overwrite"
        }
        HeadError::NotFinite { .. } => {
            "look up the row in the split's _index.csv; run extract again with --overwrite and --dtype f32"
        }
        HeadError::NoValidation => "extract a validation split, or leave out --early-stopping",
        HeadError::Diverged { .. } => "use a smaller --lr",
        HeadError::Setting { setting, expected, .. } => {
            return Some(format!("give --{} {expected}", setting.replace('_', "-")));
        }
        HeadError::Io { action: "read", .. } | HeadError::Format { .. } => {
            "train it again with fit-head"
        }
        other => return other.hint(),
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_get_the_flags_that_their_library_does_not_know() {
        let models = std::path::Path::new("/nowhere");
        let options = weights::Options::from_lookup(models, true, &weights::NoProgress, &|_| None);
        let base = backbone::Base::named("vgg16").expect("a base");
        let error = weights::resolve("acme/own", &base.architecture().expect("variants"), &options)
            .expect_err("offline");
        let text = of_weights(&error).expect("a hint");
        assert!(text.contains("leave out --offline"), "{text}");
        assert!(
            text.ends_with("of acme/own by hand and give it as the weights with --weights FILE"),
            "{text}"
        );
    }
}
