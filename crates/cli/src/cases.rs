//! `outlayer test`: a guest's own cases, each a folder with an input and what should come of it.
//!
//! * `input`: what the guest reads from its standard input; nothing when it is missing;
//! * `case.json`: everything else about the request, see [`Settings`]; may be missing;
//! * `expected`: the guest's output;
//! * `expected.status`: how the execution ends, where that is not `completed`;
//! * `expected.storage.json`: the storage afterwards, compared when the file is there;
//! * `expected.log`: what the guest logs, compared when the file is there.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use outlayer_guest::Engine;
use outlayer_protocol::{
    AccountId, CodeRef, Compute, ExecutionContext, ExecutionRequest, Hash32, NearToken, RequestId,
    Status, random_seed,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    cargo::{self, BuildOptions, Package},
    code_file,
    diff::{self, Line},
    engine::EngineArgs,
    print::{self, Colour},
    run::{self, Run},
    storage_file::{self, Storage},
};

/// Run a guest's cases, and show what differs from what is expected
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The folder of the guest's package, which is built first, or a guest's Wasm
    #[arg(default_value = ".")]
    guest: PathBuf,
    /// Only cases whose name contains one of these texts
    filters: Vec<String>,
    /// The folder with the cases [default: cases, beside the guest]
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// Write what the guest does now as what is expected
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    options: BuildOptions,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `case.json` may say. What it leaves out is as `outlayer run` has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    /// Changes the limits of the package.
    limits: Map<String, Value>,
    /// The keys and values that the guest finds, as `outlayer run --storage-file` reads them.
    storage: Map<String, Value>,
    request_id: RequestId,
    block_seed: Hash32,
    predecessor: Option<AccountId>,
    signer: Option<AccountId>,
    block_height: Option<u64>,
    /// Nanoseconds since 1970.
    block_timestamp: Option<u64>,
    /// YoctoNEAR, a decimal text; what a request must attach when absent or zero.
    attached_deposit: Option<NearToken>,
}

/// What a case gave, in the form of the files that say what is expected.
struct Found {
    output: Vec<u8>,
    status: String,
    storage: Storage,
    log: Vec<u8>,
    used: Compute,
}

/// How a case ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Updated,
    Failed,
}

#[derive(Debug, Serialize)]
struct Tested {
    case: String,
    verdict: Verdict,
    used: Compute,
    /// The files that are not as they should be.
    differs: Vec<Difference>,
    /// What the guest has logged, where something differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

#[derive(Debug, Serialize)]
struct Difference {
    file: &'static str,
    /// `None` when there is no such file.
    expected: Option<String>,
    found: String,
}

const OUTPUT: &str = "expected";
const STATUS: &str = "expected.status";
const STORAGE: &str = "expected.storage.json";
const LOG: &str = "expected.log";

impl TestArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let (code, package, beside) = self.guest()?;
        let folder = self.cases.clone().unwrap_or_else(|| beside.join("cases"));
        let cases = find(&folder, &self.filters)?;
        let engine = self.engine.engine()?;
        let mut all = Vec::new();
        for case in &cases {
            let tested = self.test(&*engine, &code, package.as_ref(), case)?;
            if !self.json {
                show(&tested);
            }
            all.push(tested);
        }
        let failed = all.iter().filter(|one| matches!(one.verdict, Verdict::Failed)).count();
        if self.json {
            print::json(&json!({
                "code_hash": Hash32::of(&code), "passed": all.len() - failed, "failed": failed,
                "cases": all,
            }))?;
        } else {
            print::raw(format_args!("\n{} passed, {failed} failed\n", all.len() - failed));
            if failed > 0 {
                print::raw("Where the guest is right, --update writes what it does now.\n");
            }
        }
        Ok(failed == 0)
    }

    /// The guest's code, its package, and the folder beside which the cases are.
    fn guest(&self) -> anyhow::Result<(Vec<u8>, Option<Package>, PathBuf)> {
        if self.guest.is_file() {
            let code = code_file::read(&self.guest)?;
            let beside = self.guest.parent().unwrap_or(Path::new("")).to_owned();
            return Ok((code, None, beside));
        }
        let package = Package::read(&self.guest)?;
        let code = package.build_guest(self.options)?.code;
        let folder = package.folder().to_owned();
        Ok((code, Some(package), folder))
    }

    fn test(
        &self,
        engine: &dyn Engine,
        code: &[u8],
        package: Option<&Package>,
        case: &Path,
    ) -> anyhow::Result<Tested> {
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = execute(engine, code, package, case).with_context(|| name.clone())?;
        let differs = compare(case, &found)?;
        let verdict = match (differs.is_empty(), self.update) {
            (true, _) => Verdict::Ok,
            (false, true) => {
                update(case, &found)?;
                Verdict::Updated
            }
            (false, false) => Verdict::Failed,
        };
        let log = (!differs.is_empty()).then(|| print::text(&found.log));
        Ok(Tested { case: name, verdict, used: found.used, differs, log })
    }
}

/// The folders with a case, by name.
fn find(folder: &Path, filters: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!(
            "{}: expected a folder with one folder for each case, in which `input` has what the \
             guest reads; --update writes what comes of it beside that",
            folder.display()
        )
    })?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let chosen = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = name.starts_with('.');
        let matches = filters.is_empty() || filters.iter().any(|text| name.contains(text.as_str()));
        !hidden && path.is_dir() && matches
    };
    let mut cases: Vec<_> = paths.into_iter().filter(chosen).collect();
    cases.sort();
    // A run of no case would pass, and nobody would notice that a name was misspelt.
    ensure!(!cases.is_empty(), "there is no such case in {}", folder.display());
    Ok(cases)
}

fn execute(
    engine: &dyn Engine,
    code: &[u8],
    package: Option<&Package>,
    case: &Path,
) -> anyhow::Result<Found> {
    let settings = match read(&case.join("case.json"))? {
        Some(text) => serde_json::from_slice(&text).context("case.json")?,
        None => Settings::default(),
    };
    let input = read(&case.join("input"))?.unwrap_or_default();
    let mut request = ExecutionRequest::new(CodeRef { hash: Hash32::of(code), url: None }, input);
    request.args = settings.args;
    request.env = settings.env.into_iter().collect();
    request.limits = match package {
        Some(package) => package.limits(&settings.limits)?,
        None => cargo::limits(settings.limits.iter()).context("the limits in case.json")?,
    };
    let made_up = run::made_up_context()?;
    let block_height = settings.block_height.unwrap_or(made_up.block_height);
    let context = ExecutionContext {
        request_id: settings.request_id,
        block_height,
        block_timestamp: settings.block_timestamp.unwrap_or(made_up.block_timestamp),
        epoch_height: run::epoch_of(block_height),
        random_seed: random_seed(settings.request_id, settings.block_seed.as_bytes()),
        signer_id: settings.signer.unwrap_or(made_up.signer_id),
        predecessor_id: settings.predecessor.unwrap_or(made_up.predecessor_id),
        attached_deposit: settings.attached_deposit.unwrap_or(made_up.attached_deposit),
        contract_id: made_up.contract_id,
    };
    let mut storage = storage_file::from_json(&settings.storage).context("case.json: storage")?;
    let config = run::default_config();
    let run = Run { request, context, config, secrets: None };
    let report = run.execute(engine, code, &mut |key: &[u8]| Ok(storage.get(key).cloned()))?;
    storage_file::apply(&mut storage, &report.journal);
    Ok(Found {
        output: report.output.0,
        status: status(&report.status),
        storage,
        log: report.logs.0,
        used: report.used,
    })
}

/// A status in one line, as `expected.status` has it.
fn status(status: &Status) -> String {
    print::status(status).replace('\n', "\\n")
}

/// The content of a file, or `None` when there is none.
fn read(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn compare(case: &Path, found: &Found) -> anyhow::Result<Vec<Difference>> {
    let mut differs = Vec::new();
    let mut differ = |file, expected: Option<&[u8]>, found: &[u8]| {
        let expected = expected.map(print::text);
        differs.push(Difference { file, expected, found: print::text(found) });
    };
    let expected = read(&case.join(STATUS))?;
    let text = expected.as_deref().map_or("completed".into(), String::from_utf8_lossy);
    if text.trim_end() != found.status {
        differ(STATUS, Some(text.as_bytes()), found.status.as_bytes());
    }
    let expected = read(&case.join(OUTPUT))?;
    // A guest that does not complete has no output, and needs no file for it.
    let completed = found.status == "completed";
    if expected.as_ref() != Some(&found.output) && (completed || expected.is_some()) {
        differ(OUTPUT, expected.as_deref(), &found.output);
    }
    if let Some(text) = read(&case.join(STORAGE))? {
        let expected: Map<String, Value> = serde_json::from_slice(&text).context(STORAGE)?;
        let expected = storage_file::from_json(&expected).context(STORAGE)?;
        if expected != found.storage {
            let text = |storage| format!("{:#}\n", storage_file::to_json(storage));
            differ(STORAGE, Some(text(&expected).as_bytes()), text(&found.storage).as_bytes());
        }
    }
    if let Some(expected) = read(&case.join(LOG))?
        && expected != found.log
    {
        differ(LOG, Some(&expected), &found.log);
    }
    Ok(differs)
}

/// Writes what the guest did as what is expected.
fn update(case: &Path, found: &Found) -> anyhow::Result<()> {
    let write = |name: &str, content: &[u8]| {
        let path = case.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())
    };
    let remove = |name: &str| match fs::remove_file(case.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => bail!("{name}: {error}"),
        _ => Ok(()),
    };
    if found.status == "completed" {
        write(OUTPUT, &found.output)?;
        remove(STATUS)?;
    } else {
        write(STATUS, format!("{}\n", found.status).as_bytes())?;
        remove(OUTPUT)?;
    }
    if case.join(STORAGE).exists() {
        storage_file::write(&case.join(STORAGE), &found.storage)?;
    }
    if case.join(LOG).exists() {
        write(LOG, &found.log)?;
    }
    Ok(())
}

fn show(tested: &Tested) {
    let (word, colour) = match tested.verdict {
        Verdict::Ok => ("ok", Colour::Green),
        Verdict::Updated => ("updated", Colour::Yellow),
        Verdict::Failed => ("FAILED", Colour::Red),
    };
    let word = print::paint(colour, format!("{word:<8}"));
    print::raw(format_args!("{word} {}, used {}\n", tested.case, tested.used));
    if !matches!(tested.verdict, Verdict::Failed) {
        return;
    }
    for line in tested.log.iter().flat_map(|log| log.lines()) {
        print::raw(format_args!("    log | {line}\n"));
    }
    for difference in &tested.differs {
        let Difference { file, expected, found } = difference;
        let Some(expected) = expected else {
            print::raw(format_args!("    there is no file {file}; found:\n"));
            found.lines().for_each(|line| print::raw(format_args!("      {line}\n")));
            continue;
        };
        print::raw(format_args!("    {file}: - is expected, + was found\n"));
        // Where both texts end in the middle of a line, that is no difference.
        let one_ends = expected.ends_with('\n') != found.ends_with('\n');
        for line in diff::lines(expected, found) {
            let (sign, line, colour) = match line {
                Line::Removed(line) => ("-", line, Some(Colour::Red)),
                Line::Added(line) => ("+", line, Some(Colour::Green)),
                Line::Same(line) => (" ", line, None),
                Line::LeftOut => ("…", "", None),
            };
            let text = format!("{sign} {}", line.trim_end_matches('\n'));
            let text = colour.map_or_else(|| text.clone(), |colour| print::paint(colour, &text));
            print::raw(format_args!("      {text}\n"));
            if one_ends && !line.is_empty() && !line.ends_with('\n') {
                print::raw("        (without a line's end)\n");
            }
        }
    }
}
